//! Service accounts: which one a pod runs as, and what a tree arranges for the one that pods get without asking.
//!
//! After the admission plugin ServiceAccount and `pkg/serviceaccount` of Kubernetes: a pod that names no account runs as `default` of its
//! namespace.

use super::{PodView, Workload, objects};
use crate::yaml::{Action, Node, Operation, Stream, Value};
use regex::Regex;
use std::sync::LazyLock;

/// The account of pods that name none.
const DEFAULT: &str = "default";

/// What the names of annotations and labels that ask for a sidecar begin with, where that sidecar shows the pod's own token to somebody,
/// or refuses a pod without one: Vault and Bank-Vaults, Consul, Linkerd, Kuma, Dapr, Conjur. (Istio mounts a token of its own.)
const INJECTORS: [&str; 8] = [
    "vault.hashicorp.com/",
    "vault.security.banzaicloud.io/",
    "consul.hashicorp.com/",
    "linkerd.io/inject",
    "config.linkerd.io/",
    "kuma.io/",
    "dapr.io/",
    "conjur.org/",
];

impl<'a> PodView<'a> {
    /// The account that the pod names, unless it is the one it would get anyway.
    pub fn account(self) -> Option<String> {
        // The second is the older name of the first, and the API server fills in either from the other.
        let mut names =
            ["serviceAccountName", "serviceAccount"].into_iter().filter_map(|key| self.field(key)?.as_str());
        let name = names.next().map(|name| name.into_owned());
        name.filter(|name| !name.is_empty() && name != DEFAULT)
    }

    /// `automountServiceAccountToken` as written; a null counts as absent.
    pub fn automount(self) -> Option<Node<'a>> {
        self.field("automountServiceAccountToken")
    }
}

impl Workload {
    /// The annotation or label of its pods that asks for a sidecar which needs the pod's token.
    pub fn injector(&self, stream: &Stream) -> Option<String> {
        injector(self.pod_metadata(stream)?)
    }
}

/// Keeps the token of its account out of a pod that does not say yet whether it wants it.
pub fn withhold_token(pod: PodView<'_>) -> Operation {
    let action = Action::Insert { key: "automountServiceAccountToken".to_owned(), value: Value::Bool(false) };
    Operation { document: pod.node().document().index(), route: pod.node().route(), action }
}

/// What a stream arranges for the account `default` of any namespace: rights, a meaning for others, or a sidecar that needs its token.
/// Where, as a byte offset, and what, to be read after "PATH:LINE".
pub fn default_account_use(stream: &Stream) -> Option<(usize, String)> {
    let bindings = ["RoleBinding", "ClusterRoleBinding"].into_iter().flat_map(|kind| objects(stream, kind));
    for binding in bindings {
        let mut subjects = binding.get("subjects").into_iter().flat_map(Node::items).map(Node::resolved);
        if let Some(subject) = subjects.find(|subject| is_default(*subject)) {
            return Some((subject.span().start, "gives it rights".to_owned()));
        }
    }
    let named = |object: &Node<'_>| object.get("metadata").and_then(|metadata| text(metadata, "name"));
    for account in objects(stream, "ServiceAccount") {
        if named(&account).as_deref() != Some(DEFAULT) {
            continue;
        }
        // kubectl and GitOps tools leave notes of their own, which mean nothing to others.
        let annotation = keys(account.get("metadata"), "annotations").into_iter().find(|key| {
            !["kubectl.kubernetes.io/", "argocd.argoproj.io/", "meta.helm.sh/"].iter().any(|own| key.starts_with(own))
        });
        if let Some(annotation) = annotation {
            return Some((account.span().start, format!("annotates it with {annotation}")));
        }
        if account.get("automountServiceAccountToken").and_then(Node::as_bool) == Some(true) {
            return Some((account.span().start, "asks for its token".to_owned()));
        }
    }
    objects(stream, "Namespace").into_iter().find_map(|namespace| {
        let found = injector(namespace.get("metadata")?)?;
        Some((namespace.span().start, format!("asks for sidecars that need it ({found})")))
    })
}

/// What only a client of the Kubernetes API says: where in `text`, as a byte offset, and what. Libraries by the names that their users
/// import, the files and variables that the kubelet provides for them, the API's own address, and what Prometheus and its like are told
/// to discover.
pub fn api_call(text: &str) -> Option<(usize, String)> {
    static CALLS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(concat!(
            r"run/secrets/kubernetes\.io|\bKUBERNETES_(?:SERVICE|PORT|NAMESPACE)|\bkubernetes\.default\b",
            r"|\bk8s\.io/client-go|\bsigs\.k8s\.io/controller-runtime|\bInClusterConfig\b",
            r"|\bload_(?:incluster|kube)_config\b|\bfrom\s+kubernetes(?:_asyncio)?\s+import\b",
            r"|\b(?:from|import)\s+(?:lightkube|kr8s|kopf|pykube|dask_kubernetes)\b|\bSPRING_CLOUD_KUBERNETES_\w+",
            r"|@kubernetes/client-node|\bloadFrom(?:Cluster|Default)\(|\bkubernetes_sd_config",
        ))
        .ok()
    });
    let found = CALLS.as_ref()?.find(text)?;
    Some((found.start(), found.as_str().to_owned()))
}

/// Whether a subject of a binding is, or holds, an account of this name
/// (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-subjects>).
fn is_default(subject: Node<'_>) -> bool {
    let name = text(subject, "name").unwrap_or_default();
    match text(subject, "kind").as_deref() {
        Some("ServiceAccount") => name == DEFAULT,
        Some("Group") => name.starts_with("system:serviceaccounts") || name == "system:authenticated",
        Some("User") => name.starts_with("system:serviceaccount:") && name.ends_with(":default"),
        _ => false,
    }
}

fn injector(metadata: Node<'_>) -> Option<String> {
    ["annotations", "labels"].into_iter().find_map(|key| {
        let mut entries = metadata.get(key)?.entries();
        entries.find_map(|(name, value)| {
            let name = name.as_str()?.into_owned();
            let off = matches!(value.resolved().text().as_ref(), "false" | "disabled");
            (!off && INJECTORS.iter().any(|injector| name.starts_with(injector))).then_some(name)
        })
    })
}

fn keys(owner: Option<Node<'_>>, key: &str) -> Vec<String> {
    let entries = owner.and_then(|owner| owner.get(key)).into_iter().flat_map(Node::entries);
    entries.filter_map(|(key, _)| Some(key.as_str()?.into_owned())).collect()
}

fn text(node: Node<'_>, key: &str) -> Option<String> {
    node.get(key)?.resolved().as_str().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn used(text: &str) -> Option<String> {
        default_account_use(&yaml::parse(text).unwrap()).map(|(_, what)| what)
    }

    fn binding(subject: &str) -> String {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: a}}\nroleRef: {{kind: Role, name: a}}\nsubjects:\n- {subject}\n"
        )
    }

    #[test]
    fn bindings_of_the_account_and_of_groups_it_is_in_count() {
        for subject in [
            "{kind: ServiceAccount, name: default}",
            "{kind: ServiceAccount, name: default, namespace: shop}",
            "{kind: Group, name: 'system:serviceaccounts'}",
            "{kind: Group, name: 'system:serviceaccounts:shop'}",
            "{kind: Group, name: 'system:authenticated'}",
            "{kind: User, name: 'system:serviceaccount:shop:default'}",
        ] {
            assert!(used(&binding(subject)).is_some(), "{subject}");
        }
        for subject in
            ["{kind: ServiceAccount, name: operator}", "{kind: User, name: jane}", "{kind: Group, name: developers}"]
        {
            assert_eq!(used(&binding(subject)), None, "{subject}");
        }
    }

    #[test]
    fn annotations_of_the_account_count_and_secrets_for_images_do_not() {
        let account = |rest: &str| format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: default\n{rest}");
        let role = "  annotations:\n    eks.amazonaws.com/role-arn: arn:aws:iam::1:role/a\n";
        assert!(used(&account(role)).unwrap().contains("eks.amazonaws.com"));
        assert_eq!(used(&account("imagePullSecrets:\n- name: registry\n")), None);
        assert_eq!(used(&account("  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: x\n")), None);
    }

    #[test]
    fn a_namespace_may_ask_for_sidecars() {
        let namespace = |annotation: &str| {
            format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations:\n    {annotation}\n")
        };
        assert!(used(&namespace("linkerd.io/inject: enabled")).is_some());
        assert_eq!(used(&namespace("linkerd.io/inject: disabled")), None);
        assert_eq!(used(&namespace("istio-injection: enabled")), None);
    }
}
