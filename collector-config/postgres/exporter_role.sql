-- The role of the PostgreSQL exporter: it may read the statistics of all sessions, but no row of any table.
--
--   psql -v password="$(cat FILE_WITH_THE_PASSWORD)" -f collector-config/postgres/exporter_role.sql DATABASE
--
-- The exporter's environment then has
--   DATA_SOURCE_NAME=postgresql://postgres_exporter:PASSWORD@127.0.0.1:15432/DATABASE?sslmode=disable
--   PG_EXPORTER_EXTEND_QUERY_PATH=collector-config/postgres/queries.yaml
-- with the name of the service's own database: it reads table statistics only from the database that it connects to.
-- The script can be run again, for example to change the password.

\set ON_ERROR_STOP on

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres_exporter') AS is_new \gset
\if :is_new
CREATE ROLE postgres_exporter;
\endif

-- Few connections, so that the exporter itself cannot exhaust the server. A query that hangs on a lock must not pile
-- up.
ALTER ROLE postgres_exporter WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5 PASSWORD :'password';
ALTER ROLE postgres_exporter SET statement_timeout = '5s';
ALTER ROLE postgres_exporter SET default_transaction_read_only = on;

-- pg_read_all_stats, pg_read_all_settings and pg_stat_scan_tables. Without it the exporter sees only its own sessions,
-- and no other transactions.
GRANT pg_monitor TO postgres_exporter;
