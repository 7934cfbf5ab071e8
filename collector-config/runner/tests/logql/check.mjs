// Parses LogQL expressions, one a line on standard input: {"place": "file: name", "text": "{a=\"b\"}"}. Prints each
// fault with its position, and exits with 1 if there is one. `npm ci` installs the parser.

import { parser } from "@grafana/lezer-logql";
import { createInterface } from "node:readline";

let parsed = 0;
let faults = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  const { place, text } = JSON.parse(line);
  parsed += 1;
  // The parser recovers from errors; a node of the tree says where one was.
  parser.parse(text).iterate({
    enter(node) {
      if (!node.type.isError) return true;
      faults += 1;
      const before = text.slice(0, node.from);
      const row = before.split("\n").length;
      const column = node.from - (before.lastIndexOf("\n") + 1) + 1;
      const at = text.slice(node.from, node.from + 30);
      console.error(`${place}: line ${row}, column ${column}: not LogQL at \`${at}\` in\n${text}`);
      return false;
    },
  });
}
console.log(`${parsed} expressions, ${faults} faults`);
process.exitCode = faults > 0 || parsed === 0 ? 1 : 0;
