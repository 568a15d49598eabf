//! Why a hardened workload fails, and what to change.
//!
//! First by what is plain: the node's refusal, and what was printed together with the settings. Where words do not tell, by experiment: the
//! workload runs again with one thing put back as it was, and the thing whose return makes it hold is the cause.

mod cause;
mod experiment;
mod scene;
mod words;

use super::Result;
use super::field::FieldPath;
use super::judge::{Breakdown, Reached, Settings, Trouble};
use super::objects::Workload;
use super::proof::{Cause, Diagnosis};
use scene::Scene;
use words::{Missing, Symptom};

/// A workload that held as it was found, and breaks hardened.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// How it breaks.
    pub breakdown: &'a Breakdown,
    /// The workload as hardened.
    pub workload: &'a Workload,
    /// The workload as found.
    pub former: &'a Workload,
    /// What the workload's containers ran under as found.
    pub original: &'a [Settings],
}

impl Case<'_> {
    /// Whether it answers, and with a status that is not one of its own failures.
    fn answers_otherwise(&self) -> bool {
        let failed = headline(self.breakdown).rsplit(": ").next().is_some_and(|status| status.starts_with('5'));
        self.breakdown.trouble == Trouble::Answer && !failed
    }
}

/// What an explanation comes to.
struct Finding {
    cause: Cause,
    /// What went wrong, in a few words of ours.
    failure: String,
    remedy: String,
    /// The setting that the remedy is about: of several the first.
    field: Option<FieldPath>,
    unwritable: Vec<String>,
}

impl Finding {
    fn new(cause: Cause, failure: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause, failure: failure.into(), remedy: remedy.into(), field: None, unwritable: Vec::new() }
    }

    fn at(self, field: FieldPath) -> Self {
        Self { field: Some(field), ..self }
    }

    fn unwritable(mut self, folders: impl IntoIterator<Item = String>) -> Self {
        self.unwritable = folders.into_iter().collect();
        self.unwritable.dedup();
        self
    }
}

/// Finds the cause, and what to change. `holds_with` runs the cluster with another workload in the place of this one, and tells whether it does
/// then what is demanded. Nothing of what programs print goes into the diagnosis but names of files, programs and the like.
///
/// # Errors
/// What `holds_with` could not do.
pub fn diagnose(case: &Case<'_>, holds_with: &mut dyn FnMut(&Workload) -> Result<bool>) -> Result<Diagnosis> {
    let breakdown = case.breakdown;
    let said = format!("{}\n{}", breakdown.reason, breakdown.said);
    if breakdown.reached == Reached::Nothing {
        return Ok(of_build(&said));
    }
    let scenes = Scene::all(case);
    let Some(&likeliest) = scenes.first() else { return Ok(unknown(breakdown, None)) };
    let (scene, finding) = match breakdown.trouble {
        Trouble::Refused => (likeliest, cause::refused(&likeliest)),
        Trouble::NotRunHere | Trouble::Pod | Trouble::Image => return Ok(unknown(breakdown, Some(&likeliest))),
        _ => match told(&scenes, &said, holds_with)? {
            Some((scene, finding)) => (scene, Some(finding)),
            None => {
                let factors = experiment::find(case, holds_with)?;
                (likeliest, cause::of_factors(&likeliest, &factors, holds_with)?)
            }
        },
    };
    let Some(finding) = finding else { return Ok(unknown(breakdown, Some(&scene))) };
    let what = headline(breakdown);
    Ok(Diagnosis {
        container: Some(scene.container.name.clone()),
        failure: if finding.failure.is_empty() { what } else { format!("{what}: {}", finding.failure) },
        cause: finding.cause,
        remedy: finding.remedy,
        field: finding.field,
        unwritable: finding.unwritable,
        place: None,
    })
}

/// The first symptom that the settings of a container explain.
fn told<'a>(
    scenes: &[Scene<'a>],
    said: &str,
    holds_with: &mut dyn FnMut(&Workload) -> Result<bool>,
) -> Result<Option<(Scene<'a>, Finding)>> {
    for symptom in words::symptoms(said) {
        for scene in scenes {
            if let Some(finding) = cause::of_symptom(scene, &symptom, holds_with)? {
                return Ok(Some((*scene, finding)));
            }
        }
    }
    Ok(None)
}

/// Why an image that could be built as found cannot be built any more, by what the engine said.
pub fn of_build(said: &str) -> Diagnosis {
    let symptoms = words::symptoms(said);
    let (cause, failure, remedy) = match symptoms.iter().find(|symptom| !matches!(symptom, Symptom::Denied(None))) {
        Some(Symptom::Platform) => (
            Cause::Platform,
            "a program of another platform".to_owned(),
            "in the Dockerfile, pin `FROM` to the digest of the image's index, or to that of the platform that it is built for".to_owned(),
        ),
        Some(Symptom::Missing(Missing::Program, name)) => (
            Cause::Image,
            format!("{name} is not there"),
            format!("in the Dockerfile, install {name} in the stage that runs it, or take the base that this stage had"),
        ),
        Some(Symptom::Missing(_, name)) => (
            Cause::Image,
            format!("{name} is not there"),
            format!("in the Dockerfile, copy or install {name} in the stage that uses it, or take the base that this stage had"),
        ),
        Some(Symptom::Denied(Some(path)) | Symptom::NotPermitted { path: Some(path), .. }) => (
            Cause::Ownership,
            format!("no permission at {path}"),
            "in the Dockerfile, move this step above `USER`".to_owned(),
        ),
        Some(Symptom::NotPermitted { .. } | Symptom::NoNewPrivileges) => (
            Cause::Ownership,
            "a step takes root".to_owned(),
            "in the Dockerfile, move this step above `USER`".to_owned(),
        ),
        _ => (
            Cause::Image,
            String::new(),
            "in the Dockerfile, take the base that this stage had, or install what the step that fails compiles with".to_owned(),
        ),
    };
    let failure =
        if failure.is_empty() { "it cannot be built".to_owned() } else { format!("it cannot be built: {failure}") };
    Diagnosis { container: None, failure, cause, remedy, field: None, unwritable: Vec::new(), place: None }
}

fn unknown(breakdown: &Breakdown, scene: Option<&Scene<'_>>) -> Diagnosis {
    let remedy = match breakdown.trouble {
        Trouble::Image => "make the image available to the engine, or name one that is",
        Trouble::NotRunHere | Trouble::Pod => "try it in a cluster: it is not run here",
        _ => "look at what it printed: no single setting is to blame",
    };
    Diagnosis {
        container: scene.map(|scene| scene.container.name.clone()),
        failure: headline(breakdown),
        cause: Cause::Unknown,
        remedy: remedy.to_owned(),
        field: None,
        unwritable: Vec::new(),
        place: None,
    }
}

/// The failure in the judge's words, without the body of an answer: that may hold what is nobody's business.
pub(super) fn headline(breakdown: &Breakdown) -> String {
    let line = breakdown.reason.lines().next().unwrap_or_default().trim();
    if breakdown.trouble != Trouble::Answer {
        return line.to_owned();
    }
    let is_status = |text: &str| text.len() >= 3 && text.chars().take(3).all(|letter| letter.is_ascii_digit());
    let cut = line.match_indices(": ").find(|(at, _)| line.get(at + 2..).is_some_and(is_status));
    let (asked, status) = match cut {
        Some((at, _)) => (line.get(..at).unwrap_or_default(), line.get(at + 2..at + 5).unwrap_or_default()),
        None => return "it answers otherwise than before".to_owned(),
    };
    format!("{asked}: {status}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::kubelet::{self, Accounts, ImageConfig, ImageVolumes, Surroundings};
    use crate::prove::node::Seen;
    use crate::prove::objects::Objects;
    use std::collections::{BTreeMap, BTreeSet};

    /// A workload with one container, its pod's and its container's settings as JSON, before and after.
    struct Example {
        objects: [Objects; 2],
        trouble: Trouble,
        reason: &'static str,
        said: &'static str,
        writes: &'static [&'static str],
        steps_down_to: Option<u32>,
    }

    impl Example {
        fn new(pod: &str, container: &str) -> Self {
            let objects = |pod: &str, container: &str| {
                let text = format!(
                    r#"{{"kind": "Deployment", "metadata": {{"name": "web"}}, "spec": {{"template": {{"spec": {{
                        {pod} "containers": [{{"name": "app", "image": "web:1", "command": ["run"], "workingDir": "/srv/web", {container}
                        "ports": [{{"containerPort": 8080}}]}}],
                        "volumes": [{{"name": "data", "persistentVolumeClaim": {{"claimName": "data"}}}}, {{"name": "extra", "emptyDir": {{}}}}]
                    }}}}}}}}"#
                );
                let mut objects = Objects::read(&[serde_json::from_str(&text).unwrap()]).unwrap();
                let app = &mut objects.workloads[0].pod.containers[0];
                app.built = Some("before".to_owned());
                objects
            };
            Self {
                objects: [objects("", ""), objects(pod, container)],
                trouble: Trouble::Ended { code: 1 },
                reason: "web/app: CrashLoopBackOff, exit 1",
                said: "",
                writes: &[],
                steps_down_to: None,
            }
        }

        fn saying(self, said: &'static str) -> Self {
            Self { said, ..self }
        }

        fn writing(self, writes: &'static [&'static str]) -> Self {
            Self { writes, ..self }
        }

        fn answering(self, reason: &'static str) -> Self {
            Self { reason, trouble: Trouble::Answer, ..self }
        }

        /// Gives the container a volume, before and after.
        fn mounting(mut self, name: &str, path: &str) -> Self {
            for objects in &mut self.objects {
                let mount = serde_json::json!({"name": name, "mountPath": path});
                let app = &mut objects.workloads[0].pod.containers[0];
                app.volume_mounts.push(serde_json::from_value(mount).unwrap());
            }
            self
        }

        fn rebuilt(mut self) -> Self {
            self.objects[1].workloads[0].pod.containers[0].built = Some("after".to_owned());
            self
        }

        fn settings(&self, objects: &Objects) -> Settings {
            let workload = &objects.workloads[0];
            let services = BTreeMap::new();
            let around = Surroundings {
                objects,
                workload,
                pod_address: "",
                service_addresses: &services,
                image_volumes: ImageVolumes::Writable,
            };
            let container = &workload.pod.containers[0];
            let config = kubelet::configure(around, container, &ImageConfig::default(), &Accounts::default()).unwrap();
            let seen = self.steps_down_to.map(|uid| Seen {
                uid,
                gid: uid,
                effective: 0,
                bounding: 0,
                ambient: 0,
                no_new_privileges: false,
                seccomp: false,
            });
            let writes = self.writes.iter().map(|folder| (*folder).to_owned()).collect();
            Settings {
                workload: 0,
                container: "web/app".to_owned(),
                image: "web:1".to_owned(),
                config,
                seen,
                restarts: 0,
                writes,
                changes: BTreeMap::new(),
                ports: BTreeSet::new(),
            }
        }

        /// The diagnosis, and how often something was tried.
        fn diagnosis(&self, holds: impl Fn(&Workload) -> bool) -> (Diagnosis, usize) {
            let [before, after] = &self.objects;
            let mut now = self.settings(after);
            now.writes.clear();
            let breakdown = Breakdown {
                workload: Some(0),
                container: None,
                reached: Reached::Built,
                trouble: self.trouble.clone(),
                reason: self.reason.to_owned(),
                said: self.said.to_owned(),
                log: String::new(),
                settings: vec![now],
            };
            let original = [self.settings(before)];
            let case = Case {
                breakdown: &breakdown,
                workload: &after.workloads[0],
                former: &before.workloads[0],
                original: &original,
            };
            let mut runs = 0;
            let found = diagnose(&case, &mut |workload| {
                runs += 1;
                Ok(holds(workload))
            });
            let found = found.unwrap();
            let (first, of_image) = (
                found.remedy.split('`').find(|word| word.starts_with("spec.")),
                found.remedy.starts_with("in the Dockerfile"),
            );
            match &found.field {
                Some(field) => assert_eq!(first, Some(field.to_string().as_str()), "{found:?}"),
                None => assert!(of_image || first.is_none(), "{found:?}"),
            }
            (found, runs)
        }

        /// What is said, without trying anything.
        fn told(&self) -> Diagnosis {
            let (diagnosis, runs) = self.diagnosis(|_| false);
            assert_eq!(runs, 0, "{diagnosis:?}");
            diagnosis
        }
    }

    fn app(workload: &Workload) -> &crate::prove::objects::SecurityContext {
        &workload.pod.containers[0].security_context
    }

    const USER: &str = r#""securityContext": {"runAsUser": 10001},"#;
    const READ_ONLY: &str = r#""securityContext": {"readOnlyRootFilesystem": true},"#;

    #[test]
    fn what_is_plain_is_not_tried() {
        let denied = Example::new("", USER).saying("open /var/spool/x: permission denied").told();
        assert_eq!(denied.cause, Cause::Ownership);
        assert_eq!(denied.failure, "web/app: CrashLoopBackOff, exit 1: no permission at /var/spool/x");
        assert!(denied.remedy.contains("chgrp -R 0 /var/spool && chmod -R g=u /var/spool"), "{}", denied.remedy);
        assert_eq!(denied.unwritable, ["/var/spool"]);

        let root = Example::new("", USER).saying("touch: /state: Permission denied").told();
        assert!(!root.remedy.contains("chgrp -R 0 / "), "{}", root.remedy);

        let port = Example::new("", USER).saying("listen tcp :443: bind: permission denied").told();
        assert_eq!(port.cause, Cause::LowPort);

        let volume = Example::new("", USER).mounting("data", "/data").saying("open /data/x: permission denied").told();
        assert_eq!(volume.cause, Cause::VolumeOwnership);
        assert!(volume.remedy.starts_with("set `spec.template.spec.securityContext.fsGroup` to 10001"));

        let root = Example::new("", READ_ONLY).writing(&["/run", "/srv/web/__pycache__"]);
        let root = root.saying("OSError: [Errno 30] Read-only file system: '/tmp/x'").told();
        assert_eq!(
            (root.cause, root.unwritable.as_slice()),
            (Cause::ReadOnlyRoot, &["/tmp".to_owned(), "/run".to_owned()][..])
        );
        assert!(
            root.remedy
                .starts_with("mount an emptyDir at /tmp and /run (`spec.template.spec.containers[app].volumeMounts`)")
        );
    }

    #[test]
    fn a_volume_does_not_hide_the_program() {
        let beside = Example::new("", READ_ONLY).saying("Read-only file system @ rb_sysopen - db.sqlite").told();
        assert_eq!(beside.cause, Cause::ReadOnlyRoot);
        assert!(beside.remedy.contains("readOnlyRootFilesystem` to false"), "{}", beside.remedy);
    }

    #[test]
    fn silence_is_answered_by_trying() {
        let silent = Example::new("", READ_ONLY).writing(&["/var/cache/web"]).answering("GET /: 500 <h1>password</h1>");
        let (found, runs) = silent.diagnosis(|workload| !app(workload).read_only_root_filesystem);
        // Nothing else differs, so nothing needs trying.
        assert_eq!((found.cause, runs), (Cause::ReadOnlyRoot, 0));
        assert!(found.remedy.contains("emptyDir at /var/cache/web"));
        assert_eq!(found.failure, "GET /: 500: with a writable root it holds");

        let settings = r#""securityContext": {"runAsUser": 10001, "readOnlyRootFilesystem": true,
            "seccompProfile": {"type": "RuntimeDefault"}, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},"#;
        for (cause, holds) in [
            (Cause::ReadOnlyRoot, (|workload| !app(workload).read_only_root_filesystem) as fn(&Workload) -> bool),
            (Cause::Seccomp, |workload| app(workload).seccomp_profile.is_none()),
            (Cause::NoNewPrivileges, |workload| app(workload).allow_privilege_escalation.is_none()),
            (Cause::Account, |workload| app(workload).run_as_user.is_none()),
            (Cause::LowPort, |workload| {
                app(workload).run_as_user.is_none() || !workload.pod.security_context.sysctls.is_empty()
            }),
        ] {
            let (found, runs) = Example::new("", settings).diagnosis(holds);
            assert_eq!(found.cause, cause, "{found:?}");
            assert!(runs <= 6, "{cause:?}: {runs}");
        }
    }

    #[test]
    fn two_causes_are_both_named() {
        let settings = r#""securityContext": {"runAsUser": 10001, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},"#;
        let example = Example::new("", settings).writing(&["/var/lib/web"]);
        let (found, runs) = example
            .diagnosis(|workload| app(workload).run_as_user.is_none() && !app(workload).read_only_root_filesystem);
        assert_eq!(found.cause, Cause::ReadOnlyRoot);
        assert!(
            found.remedy.contains("emptyDir at /var/lib/web") && found.remedy.contains("chgrp"),
            "{}",
            found.remedy
        );
        assert!(runs <= 8, "{runs}");
    }

    #[test]
    fn a_volume_is_to_blame_where_its_group_helps() {
        let example = Example::new("", USER).mounting("data", "/data").answering("POST /: 500");
        let (found, _) = example.diagnosis(|workload| workload.pod.security_context.fs_group.is_some());
        assert_eq!((found.cause, found.unwritable.as_slice()), (Cause::VolumeOwnership, &["/data".to_owned()][..]));
    }

    #[test]
    fn root_without_capabilities_becomes_the_user_that_it_steps_down_to() {
        let dropped = r#""securityContext": {"capabilities": {"drop": ["ALL"]}},"#;
        let example = Example::new("", dropped).saying("chown: changing ownership of '.': Operation not permitted");
        let example = Example { steps_down_to: Some(999), ..example };
        let (found, runs) = example.diagnosis(|workload| app(workload).run_as_user == Some(999));
        assert_eq!((found.cause, runs), (Cause::Capability, 1));
        assert!(found.remedy.contains("runAsUser` to 999"));
        let (found, _) =
            example.diagnosis(|workload| app(workload).capabilities.add.iter().any(|name| name == "DAC_OVERRIDE"));
        assert!(
            found.remedy.contains("to [CHOWN, DAC_OVERRIDE, NET_BIND_SERVICE, SETGID, SETUID]"),
            "{}",
            found.remedy
        );
    }

    #[test]
    fn another_image_is_told_from_other_settings() {
        let missing =
            Example::new("", USER).rebuilt().saying("open templates/x.html: no such file or directory").told();
        assert_eq!(missing.cause, Cause::Image);
        assert!(missing.remedy.contains("copy /srv/web/templates/x.html into the last stage"));

        let other = Example::new("", USER).rebuilt().answering("GET /: 200 something else");
        let (found, runs) = other.diagnosis(|workload| workload.pod.containers[0].built.as_deref() == Some("before"));
        assert_eq!((found.cause, runs), (Cause::Image, 1));

        let silent = Example {
            trouble: Trouble::Silent { port: 80 },
            reason: "GET /: no HTTP answer",
            ..Example::new("", USER)
        };
        let (found, _) =
            silent.rebuilt().diagnosis(|workload| workload.pod.containers[0].built.as_deref() == Some("before"));
        assert_eq!(found.cause, Cause::Mismatch);
    }

    #[test]
    fn a_volume_that_hides_files_is_named() {
        let hiding = r#""volumeMounts": [{"name": "extra", "mountPath": "/srv/web"}],"#;
        let hidden = Example::new("", hiding).saying("Error: Unable to access jarfile app.jar").told();
        assert!(hidden.remedy.contains("containers[app].volumeMounts[/srv/web]"), "{}", hidden.remedy);
    }

    #[test]
    fn what_cannot_be_told_is_not_made_up() {
        let (found, _) = Example::new("", "").saying("segmentation fault").diagnosis(|_| false);
        assert_eq!(found.cause, Cause::Unknown);
    }

    #[test]
    fn a_build_that_fails_has_a_diagnosis_too() {
        for (said, cause, remedy) in [
            ("exec /bin/sh: exec format error", Cause::Platform, "digest of the image's index"),
            ("error: command 'gcc' failed: No such file or directory", Cause::Image, "install gcc"),
            ("mkdir: cannot create directory '/opt/x': Permission denied", Cause::Ownership, "above `USER`"),
            ("extconf failed, exit code 1", Cause::Image, "the base that this stage had"),
        ] {
            let found = of_build(said);
            assert_eq!(found.cause, cause, "{said}");
            assert!(found.remedy.contains(remedy), "{}", found.remedy);
        }
    }
}
