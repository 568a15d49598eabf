//! What must not be called a proof, on a node of pretended containers: each does what the words of its command say, one after the other.
//!
//! `listen:PORT` and `need:ADDRESS:PORT` (of the pods 10.0.0.1, 10.0.0.2...), `sleep:MILLISECONDS`, `exit:CODE`, and `new-disks`, behind which nothing is done
//! on those that somebody wrote; it runs for ever behind the last word.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use unroot::config::ProbeEntry;
use unroot::prove::groups::{self, Group, ManifestText};
use unroot::prove::judge::Demand;
use unroot::prove::kubelet::{Accounts, ContainerConfig, ImageConfig};
use unroot::prove::network::{Plan, Route};
use unroot::prove::node::{Disks, Image, Node, Seen};
use unroot::prove::objects::{Data, Objects, Workload};
use unroot::prove::probe::{Reply, Request};
use unroot::prove::proof::{OldDisks, Outcome};
use unroot::prove::run::{Prover, Results};
use unroot::prove::{Failure, Result};

/// When a slow one is ready.
const READY: Duration = Duration::from_millis(200);

/// Since when each address is listened to.
#[derive(Default)]
struct Pretended {
    listening: Mutex<BTreeMap<String, Instant>>,
    asked: Mutex<Vec<Request>>,
    /// Where the addresses of Services lead to.
    routes: Mutex<BTreeMap<String, String>>,
    disks: Mutex<Vec<Disks>>,
    stopped: Mutex<usize>,
}

struct Container {
    words: Vec<String>,
    since: Instant,
}

impl Container {
    /// The exit code, and how many milliseconds after its start.
    fn end(&self) -> Option<(u64, i32)> {
        let mut at = 0;
        for word in &self.words {
            match word.split_once(':') {
                Some(("sleep", time)) => at += time.parse::<u64>().unwrap(),
                Some(("exit", code)) => return Some((at, code.parse().unwrap())),
                _ => {}
            }
        }
        None
    }
}

impl Node for Pretended {
    type Network = ();
    type Pod = String;
    type Container = Container;

    fn image(&self, _name: &str) -> Result<Image> {
        Ok(Image {
            id: "1".to_owned(),
            config: ImageConfig::default(),
            accounts: Accounts::default(),
            absent: BTreeSet::new(),
        })
    }

    fn plan(&self, objects: &Objects) -> Result<Plan> {
        self.listening.lock().unwrap().clear();
        Ok(Plan::new(objects, "10.0.0.254", |pod| format!("10.0.0.{}", pod + 1), |at| format!("10.1.0.{}", at + 1)))
    }

    fn network(&self, plan: &Plan, disks: Disks) -> Result<()> {
        let ports = |route: &Route| -> Vec<(String, String)> {
            let place =
                |(port, target): &(u16, u16)| (format!("{}:{port}", route.address), format!("{}:{target}", route.pod));
            route.ports.iter().map(place).collect()
        };
        *self.routes.lock().unwrap() = plan.services.iter().flat_map(ports).collect();
        self.disks.lock().unwrap().push(disks);
        Ok(())
    }

    fn pod(&self, _: &(), plan: &Plan, index: usize, _workload: &Workload, _data: &Data) -> Result<String> {
        Ok(plan.pods[index].clone())
    }

    fn start(&self, pod: &String, _name: &str, _image: &Image, config: &ContainerConfig) -> Result<Container> {
        let since = Instant::now();
        let mut at = since;
        let mut words = Vec::new();
        for word in &config.arguments {
            if word == "new-disks" && self.disks.lock().unwrap().last() == Some(&Disks::Old) {
                break;
            }
            match word.split_once(':') {
                Some(("sleep", time)) => at += Duration::from_millis(time.parse().unwrap()),
                Some(("listen", port)) => drop(self.listening.lock().unwrap().insert(format!("{pod}:{port}"), at)),
                // Without it, what comes behind is never done.
                Some(("need", address)) if !self.listening.lock().unwrap().contains_key(address) => break,
                _ => {}
            }
            words.push(word.clone());
        }
        Ok(Container { words, since })
    }

    fn ended(&self, container: &mut Container) -> Result<Option<i32>> {
        let end = container.end();
        Ok(end.filter(|(at, _)| container.since.elapsed() >= Duration::from_millis(*at)).map(|(_, code)| code))
    }

    fn said(&self, _container: &Container, _lines: usize) -> String {
        String::new()
    }

    fn stop(&self, _container: &mut Container) -> Result<()> {
        *self.stopped.lock().unwrap() += 1;
        Ok(())
    }

    /// `after:MILLISECONDS` succeeds that long after the container's start.
    fn exec(&self, container: &Container, command: &[String]) -> Result<bool> {
        let after = command[0].strip_prefix("after:").and_then(|time| time.parse().ok());
        Ok(after.is_some_and(|time| container.since.elapsed() >= Duration::from_millis(time)))
    }

    fn ask(&self, _: &(), request: &Request) -> Result<Reply> {
        self.asked.lock().unwrap().push(request.clone());
        let routes = self.routes.lock().unwrap();
        let place = routes.get(&request.address).unwrap_or(&request.address);
        let since = self.listening.lock().unwrap().get(place).copied();
        let is_there = since.is_some_and(|since| since <= Instant::now());
        Ok(match is_there {
            // What is added is there already.
            true if request.path == "/add" && self.disks.lock().unwrap().last() == Some(&Disks::Old) => {
                Reply::Answer { status: 409, body: String::new() }
            }
            // It takes a moment until it works.
            true if request.path == "/slow" && since.is_some_and(|since| since.elapsed() < READY) => {
                Reply::Answer { status: 500, body: String::new() }
            }
            true => Reply::Answer { status: 200, body: String::new() },
            false => Reply::Silence("refused".to_owned()),
        })
    }

    fn seen(&self, _container: &Container) -> Option<Seen> {
        None
    }

    fn writes(&self, _container: &Container, _config: &ContainerConfig) -> Result<BTreeSet<String>> {
        Ok(BTreeSet::new())
    }
}

fn read(yaml: &str) -> Vec<Group> {
    let manifest = ManifestText { path: "all.yaml".into(), text: yaml.into(), positions: BTreeMap::new() };
    groups::read(&[manifest], &BTreeMap::new()).0
}

fn prove(before: &str, after: &str) -> (Results, Pretended) {
    prove_with(before, after, &[])
}

fn prove_with(before: &str, after: &str, probes: &[ProbeEntry]) -> (Results, Pretended) {
    let node = Pretended::default();
    let logs = RefCell::new(Vec::new());
    let prover = Prover {
        node: &node,
        build: &|_, _| Err(Failure::new("nothing is built")),
        probes,
        on_disk: &BTreeMap::new(),
        patience: Duration::from_millis(500),
        stay: Duration::from_millis(400),
        told: &|_| {},
        logs: &|name, _| {
            logs.borrow_mut().push(name.to_owned());
            Ok(())
        },
    };
    let results = prover.all(&read(before), &read(after), &[]).unwrap();
    (results, node)
}

/// How each workload ended, in a word.
fn outcomes(before: &str, after: &str) -> Vec<&'static str> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Holds { demand: Demand::Answers, .. } => "answers",
        Outcome::Holds { demand: Demand::StaysUp, .. } => "stays up",
        Outcome::Breaks(_) => "breaks",
        Outcome::Void { .. } => "fails as found",
        Outcome::NotRun { .. } => "not run",
    };
    prove(before, after).0.workloads.iter().map(|judged| word(&judged.proof.outcome)).collect()
}

fn pod(name: &str, words: &str, more: &str) -> String {
    format!(
        "kind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n      - {{name: app, image: i, command: [{words}]{more}}}\n"
    )
}

#[test]
fn only_what_answered_is_said_to_answer() {
    let quiet = pod("web", "sleep:9", "");
    assert_eq!(outcomes(&quiet, &quiet), ["stays up"]);
    let port = pod("web", "'listen:80'", ", ports: [{containerPort: 80}]");
    assert_eq!(outcomes(&port, &port), ["answers"]);
    let grpc = pod("web", "'listen:80'", ", livenessProbe: {grpc: {port: 80}}");
    assert_eq!(outcomes(&grpc, &grpc), ["answers"]);
    assert_eq!(outcomes(&grpc, &grpc.replace("listen:80", "listen:81")), ["breaks"]);
    let later = pod("web", "run", ", readinessProbe: {exec: {command: ['after:300']}}");
    assert_eq!(outcomes(&later, &later), ["answers"], "what is not ready at once may be so later");
}

#[test]
fn probes_are_put_as_a_kubelet_puts_them() {
    let headers = "[{name: host, value: shop.example}, {name: X-Probe, value: 'yes'}]";
    let probes = format!(
        ", ports: [{{name: http, containerPort: 81}}], readinessProbe: {{httpGet: {{path: /ready, port: http, httpHeaders: {headers}}}}}, \
         livenessProbe: {{httpGet: {{port: 443, scheme: HTTPS}}}}"
    );
    let other = "      - {name: other, image: i, command: [run], ports: [{name: http, containerPort: 80}]}\n      - ";
    let web = pod("web", "'listen:81', 'listen:443'", &probes).replacen("      - ", other, 1);
    let (results, node) = prove(&web, &web);
    assert!(matches!(results.workloads[0].proof.outcome, Outcome::Holds { demand: Demand::Answers, .. }));
    let asked = node.asked.lock().unwrap();
    assert_eq!((asked[0].address.as_str(), asked[0].host.as_str()), ("10.0.0.1:81", "shop.example"));
    assert_eq!((asked[0].path.as_str(), asked[0].headers["X-Probe"].as_str()), ("/ready", "yes"));
    assert_eq!((asked[1].address.as_str(), asked[1].method.as_str()), ("10.0.0.1:443", ""), "nobody speaks TLS here");
}

#[test]
fn what_ends_after_it_answered_breaks() {
    let two = |words: &str| {
        let beside = format!("      restartPolicy: Never\n      - {{name: beside, image: i, command: [{words}]}}\n");
        let (never, beside) = beside.split_once("\n").unwrap();
        let web = pod("web", "'listen:80'", ", ports: [{containerPort: 80}]");
        web.replace("      containers:\n", &format!("{never}\n      containers:\n{beside}"))
    };
    assert_eq!(outcomes(&two("run"), &two("'sleep:200', 'exit:1'")), ["breaks"]);
    assert_eq!(outcomes(&two("run"), &two("'sleep:200', 'exit:0'")), ["answers"]);
    let hook = |after: &str| {
        let more =
            format!(", ports: [{{containerPort: 80}}], lifecycle: {{postStart: {{exec: {{command: ['{after}']}}}}}}");
        pod("web", "'listen:80'", &more)
    };
    assert_eq!(outcomes(&hook("after:0"), &hook("after:9000")), ["breaks"]);
}

#[test]
fn the_one_to_blame_is_not_always_the_one_that_is_silent() {
    let database = |port: u16| pod("db", &format!("'listen:{port}'"), "");
    let web = pod("web", "'need:10.0.0.1:5432', 'listen:80'", ", ports: [{containerPort: 80}]");
    let hardened = web.replace("command:", "securityContext: {runAsUser: 1000}, command:");
    let of = |database: String, web: &str| format!("{database}---\n{web}");
    let (before, after) = (of(database(5432), &web), of(database(1), &hardened));
    assert_eq!(outcomes(&before, &after), ["breaks", "answers"]);
    assert_eq!(outcomes(&of(database(5432), &web), &of(database(5432), &hardened)), ["stays up", "answers"]);
    // What broke is shown as it ran when it broke.
    let both = |port: u16, user: u32| {
        let one = pod(
            "one",
            &format!("'listen:{port}'"),
            &format!(", ports: [{{containerPort: 80}}], securityContext: {{runAsUser: {user}}}"),
        );
        of(one.clone(), &one.replace("one", "two").replace(&format!("'listen:{port}'"), "'listen:80'"))
    };
    let results = prove(&both(80, 0), &both(81, 1000)).0;
    let users: Vec<u32> = results.workloads.iter().map(|judged| judged.proof.after[0].uid).collect();
    assert_eq!(users, [1000, 1000]);
    assert!(matches!(results.workloads[0].proof.outcome, Outcome::Breaks(_)));
}

#[test]
fn what_is_not_run_here_is_not_said_to_break() {
    let web = pod("web", "'listen:80'", ", ports: [{containerPort: 80}]");
    let privileged = web.replace("command:", "securityContext: {privileged: true}, command:");
    assert_eq!(outcomes(&web, &privileged), ["not run"]);
    let projected = format!("{web}      volumes: [{{name: all, projected: {{sources: []}}}}]\n");
    assert_eq!(outcomes(&projected, &projected), ["not run"]);
}

#[test]
fn jobs_must_do_what_they_are_for() {
    let job = |words: &str, more: &str| pod("job", words, more).replace("Deployment", "Job");
    let needs = ", envFrom: [{secretRef: {name: gone}}]";
    assert_eq!(outcomes(&job("'exit:1'", needs), &job("'exit:1'", needs)), ["fails as found"]);
    let sidecar =
        "      initContainers: [{name: proxy, image: i, restartPolicy: Always, command: [run]}]\n      containers:\n";
    let with_sidecar = |words: &str| job(words, "").replace("      containers:\n", sidecar);
    assert_eq!(outcomes(&with_sidecar("'exit:0'"), &with_sidecar("'exit:0'")), ["answers"]);
    assert_eq!(outcomes(&with_sidecar("'exit:0'"), &with_sidecar("'exit:1'")), ["breaks"]);
}

#[test]
fn init_containers_may_wait_for_a_pod_that_comes_later() {
    let init = "      initContainers: [{name: wait, image: i, command: ['need:10.0.0.2:5432', 'exit:0']}]\n      containers:\n";
    let web = pod("web", "'listen:80'", ", ports: [{containerPort: 80}]").replace("      containers:\n", init);
    let both = format!("{web}---\n{}", pod("db", "'listen:5432'", ", ports: [{containerPort: 5432}]"));
    assert_eq!(outcomes(&both, &both), ["answers", "answers"]);
    let service = |port: u16| {
        format!(
            "kind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{{port: {port}}}]}}\n---\n{both}"
        )
    };
    assert_eq!(outcomes(&service(80), &service(81)), ["answers", "answers"]);
}

/// A pod that keeps something behind a claim.
fn keeper(words: &str) -> String {
    let claim = "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n";
    let mount = ", ports: [{containerPort: 80}], volumeMounts: [{name: data, mountPath: /data}]";
    pod("a", words, mount) + claim
}

#[test]
fn what_keeps_something_is_run_on_the_disks_that_it_wrote() {
    let before = keeper("listen:80");
    let (results, node) = prove(&before, &keeper("listen:80, hardened"));
    assert!(matches!(results.workloads[0].proof.old_disks, Some(OldDisks::Holds)));
    assert_eq!(node.disks.into_inner().unwrap(), [Disks::Kept, Disks::New, Disks::Old]);
    assert_eq!(node.stopped.into_inner().unwrap(), 1, "only what wrote the disks that are kept is asked to end");

    let (results, _) = prove(&before, &keeper("new-disks, listen:80"));
    let Outcome::Breaks(diagnosis) = &results.workloads[0].proof.outcome else {
        panic!("{:?}", results.workloads[0].proof)
    };
    assert!(
        diagnosis.failure.starts_with("on the disks that it wrote as found: a: nobody listens at port 80"),
        "{diagnosis:?}"
    );
}

#[test]
fn disks_on_which_it_failed_before_prove_nothing() {
    let (results, node) = prove(&keeper("new-disks, listen:80"), &keeper("new-disks, listen:80, hardened"));
    let proof = &results.workloads[0].proof;
    assert!(matches!(&proof.outcome, Outcome::Holds { demand: Demand::Answers, .. }), "{proof:?}");
    let Some(OldDisks::Void { reason }) = &proof.old_disks else { panic!("{proof:?}") };
    assert!(reason.contains("nobody listens at port 80"), "{reason}");
    assert_eq!(node.disks.into_inner().unwrap(), [Disks::Kept, Disks::New, Disks::Old, Disks::Old]);
}

#[test]
fn questions_that_old_data_answers_are_not_asked_then() {
    let service = "---\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n";
    let with_service = |words: &str| keeper(words) + service;
    let add: ProbeEntry = serde_json::from_value(serde_json::json!({"service": "a:80", "path": "/add"})).unwrap();
    let (results, node) =
        prove_with(&with_service("listen:80"), &with_service("listen:80, hardened"), std::slice::from_ref(&add));
    let proof = &results.workloads[0].proof;
    assert!(matches!(proof.old_disks, Some(OldDisks::Starts)), "{proof:?}");
    assert_eq!(node.disks.into_inner().unwrap(), [Disks::Kept, Disks::New, Disks::Old, Disks::Old, Disks::Old]);
    let (results, _) = prove_with(&with_service("listen:80"), &with_service("new-disks, listen:80"), &[add]);
    let Outcome::Breaks(diagnosis) = &results.workloads[0].proof.outcome else {
        panic!("{:?}", results.workloads[0].proof)
    };
    assert!(diagnosis.failure.starts_with("on the disks that it wrote as found: "), "{diagnosis:?}");
}

#[test]
fn services_lead_to_pods_that_are_ready() {
    let service = "---\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n";
    let slow: ProbeEntry = serde_json::from_value(serde_json::json!({"service": "a:80", "path": "/slow"})).unwrap();
    let demand = |more: &str| {
        let tree = pod("a", "listen:80", more) + service;
        let (results, _) = prove_with(&tree, &tree, std::slice::from_ref(&slow));
        let Outcome::Holds { demand, .. } = results.workloads[0].proof.outcome.clone() else { panic!("{more}") };
        demand
    };
    assert_eq!(demand(", readinessProbe: {exec: {command: ['after:250']}}"), Demand::Answers);
    // Without a probe it is ready at once.
    assert_eq!(demand(""), Demand::StaysUp);
}

#[test]
fn without_a_disk_there_is_nothing_to_run_again() {
    let ports = ", ports: [{containerPort: 80}]";
    let (results, node) = prove(&pod("a", "listen:80", ports), &pod("a", "listen:80, hardened", ports));
    assert!(results.workloads[0].proof.old_disks.is_none());
    assert_eq!(node.disks.into_inner().unwrap(), [Disks::New, Disks::New]);
}
