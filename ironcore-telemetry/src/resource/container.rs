//! The id of the container, and the id of its pod, out of the cgroup and the mounts of the process.

use super::surroundings::Surroundings;

/// The id of the container. On cgroup v2 the process sees no path of its own; its mounts then name the container.
pub(super) fn id(surroundings: Surroundings<'_>) -> Option<String> {
    let cgroup = (surroundings.file)("/proc/self/cgroup").unwrap_or_default();
    let by_cgroup = cgroup.lines().find_map(|line| of_segment(line.rsplit('/').next()?));
    by_cgroup.or_else(|| (surroundings.file)("/proc/self/mountinfo")?.lines().find_map(of_mount))
}

/// The uid of the pod that the container belongs to.
pub(super) fn pod_uid(surroundings: Surroundings<'_>) -> Option<String> {
    let cgroup = (surroundings.file)("/proc/self/cgroup").unwrap_or_default();
    // `pod5f8…` or `kubepods-burstable-pod5f8….slice`, there with underscores.
    let of_cgroup =
        |segment: &str| segment.match_indices("pod").find_map(|(at, mark)| uuid(segment.get(at + mark.len()..)?));
    cgroup.split(['/', '\n']).find_map(of_cgroup).or_else(|| {
        let mounts = (surroundings.file)("/proc/self/mountinfo")?;
        // `/var/lib/kubelet/pods/5f8…/etc-hosts`.
        mounts.match_indices("/pods/").find_map(|(at, mark)| uuid(mounts.get(at + mark.len()..)?))
    })
}

/// `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID`, `…:cri-containerd:ID`, `ID`, and `TASK-NUMBER` of Fargate.
fn of_segment(segment: &str) -> Option<String> {
    let name = segment.strip_suffix(".scope").unwrap_or(segment);
    let last = name.rsplit([':', '-']).next()?;
    if is_id(last) {
        return Some(last.to_owned());
    }
    let (task, number) = name.rsplit_once('-')?;
    let is_fargate = is_hex(task, 32) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_fargate.then(|| name.to_owned())
}

/// Docker and Podman mount files out of the folder of the container (`…/containers/ID/hostname`,
/// `…/overlay-containers/ID/userdata/hostname`). The folder of a sandbox names the pod's container, not ours.
fn of_mount(line: &str) -> Option<String> {
    let root = line.split_whitespace().nth(3)?;
    let segments = root.split('/').zip(root.split('/').skip(1));
    let mut ids = segments.filter(|(folder, id)| folder.ends_with("containers") && is_id(id));
    ids.next().map(|(_, id)| id.to_owned())
}

fn is_id(text: &str) -> bool {
    is_hex(text, 64)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The UUID at the start of a text, whose groups are separated by hyphens or underscores.
fn uuid(text: &str) -> Option<String> {
    let uuid = text.get(..36)?.replace('_', "-");
    let groups: Vec<_> = uuid.split('-').collect();
    let lengths = [8, 4, 4, 4, 12];
    let is_uuid =
        groups.len() == lengths.len() && groups.iter().zip(lengths).all(|(group, length)| is_hex(group, length));
    is_uuid.then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4e2f2d8a9b0c1d2e3f405162738495a6b7c8d9eaf00112233445566778899aab";
    const UID: &str = "5f8c1a2b-0d4e-4f6a-9b8c-7d6e5f4a3b2c";

    fn id_of(cgroup: &str, mounts: &str) -> Option<String> {
        seen(cgroup, mounts, id)
    }

    fn seen(cgroup: &str, mounts: &str, look: fn(Surroundings<'_>) -> Option<String>) -> Option<String> {
        let file = |path: &str| match path {
            "/proc/self/cgroup" => Some(cgroup.to_owned()),
            "/proc/self/mountinfo" => Some(mounts.to_owned()),
            _ => None,
        };
        look(Surroundings { variable: &|_| None, file: &file })
    }

    #[test]
    fn the_id_is_found_in_every_form_of_a_cgroup() {
        for cgroup in [
            format!("13:name=systemd:/docker/{ID}\n12:pids:/docker/{ID}\n"),
            format!("0::/system.slice/docker-{ID}.scope"),
            format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID}.slice/cri-containerd-{ID}.scope"
            ),
            format!("11:memory:/kubepods/besteffort/pod{UID}/{ID}"),
            format!("1:cpu:/kubepods.slice/kubepods-pod{UID}.slice/crio-{ID}.scope"),
            format!("1:cpu:/system.slice/containerd.service/kubepods-burstable-pod{UID}.slice:cri-containerd:{ID}"),
            format!("1:name=systemd:/user.slice/libpod-{ID}.scope"),
        ] {
            assert_eq!(id_of(&cgroup, "").as_deref(), Some(ID), "{cgroup}");
        }
        let fargate = "1:cpu:/ecs/447438d8540d41fa8f5d9ab6a5d5a5d4/447438d8540d41fa8f5d9ab6a5d5a5d4-2531612879";
        assert_eq!(id_of(fargate, "").as_deref(), Some("447438d8540d41fa8f5d9ab6a5d5a5d4-2531612879"));
    }

    #[test]
    fn on_cgroup_v2_the_mounts_name_the_container() {
        let docker =
            format!("678 655 254:1 /docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw");
        let podman = format!(
            "983 961 0:56 /containers/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw"
        );
        assert_eq!(id_of("0::/", &docker).as_deref(), Some(ID));
        assert_eq!(id_of("0::/", &podman).as_deref(), Some(ID));
    }

    #[test]
    fn outside_of_a_container_there_is_no_id() {
        let sandbox =
            format!("1 2 0:3 /io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname rw - ext4 /dev/a rw");
        assert_eq!(id_of("0::/user.slice/user-1000.slice/session-2.scope", &sandbox), None);
        assert_eq!(id_of("0::/../é/pod", "short line"), None);
        assert_eq!(id_of("", ""), None);
    }

    #[test]
    fn the_uid_of_the_pod_is_found_in_cgroup_and_mounts() {
        let underscored = UID.replace('-', "_");
        for (cgroup, mounts) in [
            (format!("11:memory:/kubepods/besteffort/pod{UID}/{ID}"), String::new()),
            (
                format!("0::/kubepods.slice/kubepods-burstable-pod{underscored}.slice/cri-containerd-{ID}.scope"),
                String::new(),
            ),
            (
                "0::/".to_owned(),
                format!("1 2 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw"),
            ),
        ] {
            assert_eq!(seen(&cgroup, &mounts, pod_uid).as_deref(), Some(UID), "{cgroup}");
        }
        assert_eq!(seen("0::/podéééééééééééééééééééééé", "/pods/", pod_uid), None);
    }
}
