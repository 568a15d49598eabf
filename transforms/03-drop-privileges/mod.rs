#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, Arranged, ContainerFacts, EffectiveUser, Obstacle, User};
use crate::image::Reference;
use crate::kubernetes::{self, ForbiddenSetting, Settings, VolumeSource};
use crate::repository::ContainerId;
use crate::source::printable;
use crate::yaml::{Kind, Node, Operation, Value};
use std::collections::BTreeSet;

static METADATA: Metadata = Metadata {
    number: 3,
    id: "drop-privileges",
    title: "Take back privileges that nothing is seen to need",
    why: "What manifests give beyond the Pod Security Standard restricted is taken back: privileged containers, added capabilities, profiles that confine \
          nothing, the user root. It is done where the container can then be run by somebody else, and nothing shows what the privilege is for.",
    readme: include_str!("README.md"),
};

/// Takes back privileges that a manifest gives.
pub(super) struct DropPrivileges;

impl Transform for DropPrivileges {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn configs(&self, application: &Application<'_>) -> Vec<Reference> {
        application.untold_references()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        application.containers.iter().flat_map(|container| plan_container(application, container)).collect()
    }
}

type Setting<'a> = ForbiddenSetting<'a>;

/// What concerns one container; with the first one of a pod also what concerns the pod.
fn plan_container<'a>(application: &Application<'a>, container: &ContainerFacts<'a>) -> Vec<Proposal> {
    if container.pod.is_windows() {
        return Vec::new();
    }
    let settings = container.manifest.forbidden_settings(container.id.workload, container.id.container).into_iter();
    let settings = settings.filter(|setting| is_privilege(setting.check));
    let (of_containers, of_pod): (Vec<_>, Vec<_>) = settings.partition(|setting| setting.container.is_some());
    let own = of_containers.into_iter().filter(|setting| setting.container == Some(container.id.container));
    let (inert, own): (Vec<_>, Vec<_>) =
        own.partition(|setting| setting.field == "add" && capabilities_are_inert(application, container));

    let subject = || Subject::container(container);
    let mut proposals = Vec::new();
    if !inert.is_empty() {
        proposals.push(match application.patch_of(container) {
            Some(patch) => Proposal::declined(subject(), SkipReason::AuthorChoice, patch),
            None => {
                let detail = format!(
                    "{}; a process that is not root starts without them, and allowPrivilegeEscalation: false keeps it from gaining them",
                    what_changes(&inert)
                );
                Proposal::change(subject(), change(container, &inert, None), &[], detail)
            }
        });
    }
    if !own.is_empty() {
        proposals.push(match excepted(container, &own).or_else(|| what_keeps(application, container)) {
            Some((reason, detail)) => Proposal::declined(subject(), reason, format!("keeps {}: {detail}", named(&own))),
            None => take_back(subject(), container, &own, &[(application, container)]),
        });
    }
    if container.id.container == 0 {
        proposals.extend(plan_pod(application, container, of_pod));
    }
    proposals
}

/// What the pod's own settings give all its containers.
fn plan_pod<'a>(
    application: &Application<'a>,
    first: &ContainerFacts<'a>,
    settings: Vec<Setting<'_>>,
) -> Vec<Proposal> {
    let containers: Vec<ContainerId> =
        (0..first.workload.containers.len()).map(|index| ContainerId { container: index, ..first.id }).collect();
    let subject = |settings: &[Setting<'_>]| {
        let offset = settings.iter().map(|setting| setting.node.span().start).min().unwrap_or_default();
        Subject { offset, label: first.workload.label(), ..Subject::container(first) }
    };
    let (overridden, settings): (Vec<_>, Vec<_>) = settings.into_iter().partition(|setting| {
        // The volumes and the pod's own process have no use for these.
        matches!(setting.field.as_str(), "runAsNonRoot" | "runAsUser" | "seccompProfile")
            && (0..containers.len()).all(|index| {
                let view = first.workload.container_view(&first.manifest.stream, index);
                view.is_some_and(|view| view.security(&setting.field).is_some())
            })
    });
    let mut proposals = Vec::new();
    if !overridden.is_empty() {
        let detail = format!("{}; each container has its own", what_changes(&overridden));
        proposals.push(match application.patch_of(first) {
            Some(patch) => Proposal::declined(subject(&overridden), SkipReason::AuthorChoice, patch),
            None => Proposal::change(subject(&overridden), change(first, &overridden, None), &[], detail),
        });
    }
    if !settings.is_empty() {
        let applications: Vec<(ContainerId, Application<'a>)> = containers
            .iter()
            .filter_map(|id| Some((*id, Application::of_container(application.around, *id)?)))
            .collect();
        let concerned: Vec<(&Application<'a>, &ContainerFacts<'a>)> = applications
            .iter()
            .filter_map(|(id, application)| {
                let container = application.containers.iter().find(|container| container.id == *id)?;
                Some((application, container))
            })
            .collect();
        let unread = (concerned.len() < containers.len())
            .then(|| (SkipReason::UnknownUser, "nothing is known of one of its containers".to_owned()));
        let kept =
            unread.or_else(|| concerned.iter().find_map(|(application, container)| what_keeps(application, container)));
        proposals.push(match kept {
            Some((reason, detail)) => {
                Proposal::declined(subject(&settings), reason, format!("keeps {}: {detail}", named(&settings)))
            }
            None => take_back(subject(&settings), first, &settings, &concerned),
        });
    }
    proposals
}

/// The checks of the standard that are about privileges. The others are about the host, volumes, or Windows.
fn is_privilege(check: &str) -> bool {
    matches!(
        check,
        "allowPrivilegeEscalation"
            | "appArmorProfile"
            | "capabilities_restricted"
            | "privileged"
            | "procMount_restricted"
            | "runAsNonRoot"
            | "runAsUser"
            | "seLinuxOptions"
            | "seccompProfile_restricted"
            | "sysctls"
    )
}

/// Whether capabilities that are added to a container cannot have any effect. A process that starts as a user other than root has none, because
/// Kubernetes cannot make them ambient (<https://github.com/kubernetes/kubernetes/issues/56374>); `allowPrivilegeEscalation: false` keeps programs with
/// file capabilities or the setuid bit from gaining them. Such a program may refuse to start without them, so there must be none.
fn capabilities_are_inert(application: &Application<'_>, container: &ContainerFacts<'_>) -> bool {
    let escalates = container.view.security("allowPrivilegeEscalation").and_then(Node::as_bool) != Some(false);
    let privileged = container.view.security("privileged").is_some_and(|value| value.as_bool() != Some(false));
    let EffectiveUser::Known(identity) = application.effective_user(container) else { return false };
    let plain = match &application.image {
        Some(image) => image.has_plain_files(),
        None => container.known.is_some_and(|known| match known.user {
            Some(_) => known.needs.is_empty(),
            None => known.service.is_some_and(|service| service.uid == identity.uid),
        }),
    };
    plain && !escalates && !privileged
}

/// Why a container keeps its privileges; `None` where nothing shows what they are for, and the steps that follow can make it somebody other than root.
fn what_keeps<'a>(application: &Application<'a>, container: &ContainerFacts<'a>) -> Option<(SkipReason, String)> {
    // The containers of one image change their user together.
    if let Some(why) = application.containers.iter().find_map(|container| application.works_on_node(container)) {
        return Some((SkipReason::WorksOnNode, why));
    }
    // What allow-low-ports and mount-read-only-root will see to.
    let root = application.read_only_root(container);
    let directories = root.as_ref().map(|root| root.directories.as_slice()).unwrap_or_default();
    let arranged = application.arrangeable(directories);
    let asked = application.effective_user(container);
    let user = match &asked {
        EffectiveUser::Root { .. } => application.user_without_settings(container, arranged),
        user => user.clone(),
    };
    let was_root = !matches!(asked, EffectiveUser::Known(_));
    if was_root && application.image.is_none() && container.settings() == Settings::UserAssigned {
        let kind = &container.workload.kind;
        let detail = format!("the platform may assign a {kind} another user than the image's");
        return Some((SkipReason::UnknownUser, detail));
    }
    let mut obstacles = application.obstacles().iter().filter(|obstacle| obstacle.hard && !obstacle.by_setting);
    let stays = obstacles.find(|obstacle| match obstacle.reason {
        // allow-low-ports settles it, where it may.
        SkipReason::LowPort => {
            container.pod.settings() == Settings::ContainersOnly
                || container.pod.sysctl(kubernetes::UNPRIVILEGED_PORT_START).is_some()
        }
        SkipReason::NeedsRoot | SkipReason::AuthorChoice => true,
        _ => was_root,
    });
    if let Some(obstacle) = stays {
        return Some((obstacle.reason, obstacle.detail.clone()));
    }
    if let Some(detail) = application.node_package() {
        return Some((SkipReason::WorksOnNode, detail));
    }
    // On the user's word another one is tried, unless what keeps it root are the settings themselves: of an unknown image nobody knows what for.
    let is_low_port = |obstacle: &Obstacle| obstacle.reason == SkipReason::LowPort;
    let speaks = application.obstacles().iter().any(|obstacle| obstacle.hard && !is_low_port(obstacle));
    if !speaks && application.assumed_user(container, &asked).is_some() {
        return None;
    }
    match user {
        EffectiveUser::Known(_) => None,
        EffectiveUser::StepsDown(_) => {
            application.unfit_mount(container).map(|detail| (SkipReason::VolumeOwnership, detail))
        }
        EffectiveUser::Root { how } => match application.image {
            // To be switched.
            Some(_) => None,
            None => {
                let unknown = (SkipReason::UnknownUser, "no other user is known to work".to_owned());
                let (reason, detail) = container.stays_root(arranged).unwrap_or(unknown);
                Some((reason, format!("{how} runs as root and {detail}")))
            }
        },
        EffectiveUser::Unknown { how } => {
            let numbered = |user: &User| matches!(user, User::Named { ids: Some(_), .. });
            let named = application.image.as_ref().is_some_and(|image| numbered(&image.user));
            (!named).then(|| application.unknown_user(container, &how))
        }
    }
}

/// A user that a container is given although its pod says otherwise. Without it the pod's would hold, before the image is made ready for that.
fn excepted(container: &ContainerFacts<'_>, settings: &[Setting<'_>]) -> Option<(SkipReason, String)> {
    let holds = |field: &str, value: Node<'_>| match field {
        "runAsUser" => value.as_i64() != Some(0),
        "runAsNonRoot" => value.as_bool() != Some(false),
        _ => false,
    };
    let of_pod = |setting: &Setting<'_>| {
        let value = container.pod.security(&setting.field).filter(|value| holds(&setting.field, *value))?;
        Some(format!("the pod says {}: {}, and makes an exception of it", setting.field, printable(&value.text())))
    };
    settings.iter().find_map(of_pod).map(|detail| (SkipReason::AuthorChoice, detail))
}

/// Takes the settings back from the containers they hold for.
fn take_back(
    subject: Subject,
    container: &ContainerFacts<'_>,
    settings: &[Setting<'_>],
    concerned: &[(&Application<'_>, &ContainerFacts<'_>)],
) -> Proposal {
    let unclear =
        settings.iter().find(|setting| setting.node.kind() != Kind::Scalar && setting.field != "appArmorProfile");
    if let Some(setting) = unclear {
        let detail = format!("what {} is meant to be does not stand there", printable(&setting.field));
        return Proposal::declined(subject, SkipReason::AuthorChoice, detail);
    }
    let mut detail = what_changes(settings);
    let mut group = None;
    if settings.iter().any(|setting| setting.check == "runAsUser") {
        let groups: BTreeSet<Option<u32>> =
            concerned.iter().filter_map(|(application, container)| claims_group(application, container)).collect();
        match groups.into_iter().collect::<Vec<_>>().as_slice() {
            [] => {}
            [Some(gid)] => {
                group = Some(*gid);
                detail.push_str(&format!(", fsGroup {gid} for what root wrote to claims"));
            }
            _ => {
                let detail = "claims hold what root wrote, and the group that is to have it is not known".to_owned();
                return Proposal::declined(subject, SkipReason::VolumeOwnership, detail);
            }
        }
    }
    if emptied_block(container, settings).is_some() {
        detail.push_str(&format!(", {}: {}", STAYS.0, STAYS.1));
    }
    let excuse = format!("no file shows that the program can do without {}", named(settings));
    Proposal::doubtful(subject, change(container, settings, group), detail, excuse)
}

/// The group that claims need so that the image's own user can use what the same image wrote to them as root; `None` where they need none, or where the
/// steps that switch the user see to it.
fn claims_group(application: &Application<'_>, container: &ContainerFacts<'_>) -> Option<Option<u32>> {
    let EffectiveUser::Root { .. } = application.effective_user(container) else { return None };
    let EffectiveUser::Known(identity) = application.user_without_settings(container, Arranged::default()) else {
        return None;
    };
    let writes = container.mounts().iter().any(|mount| mount.source == VolumeSource::Claim && !mount.read_only);
    let has_group = container.pod.security("fsGroup").is_some() || container.settings() != Settings::AsWritten;
    (writes && !has_group).then_some(identity.gid)
}

/// What is done; with `group` the pod's claims get that group.
fn change(container: &ContainerFacts<'_>, settings: &[Setting<'_>], group: Option<u32>) -> Change {
    let mut change = Change::default();
    let sharing = group.map(|gid| kubernetes::share_claims(container.pod, gid)).unwrap_or_default();
    let mut growing = container.pod.security_context().filter(|_| !sharing.is_empty());
    change.manifest(container.id.file, sharing);
    let mut gone = Vec::new();
    for setting in settings {
        match replacement(setting) {
            Some(value) => change.manifest(container.id.file, [kubernetes::replace(setting.node, value)]),
            None => gone.push(to_delete(setting)),
        }
    }
    if let Some(block) = emptied_block(container, settings) {
        growing = Some(block);
        change.manifest(container.id.file, [kubernetes::set(block, STAYS.0, Value::Bool(STAYS.1))]);
    }
    let deletions: Vec<Operation> = kubernetes::remove(gone, growing);
    change.manifest(container.id.file, deletions);
    change
}

/// What a container's `securityContext` holds when nothing of its own is left: of what the steps that follow write there it is the setting that changes
/// nothing for a container that [`what_keeps`] lets go. So the block keeps its place and the comments around it.
const STAYS: (&str, bool) = ("allowPrivilegeEscalation", false);

/// The container's `securityContext`, if nothing of its own is left in it without the settings.
fn emptied_block<'a>(container: &ContainerFacts<'a>, settings: &[Setting<'a>]) -> Option<Node<'a>> {
    let block = container.view.node().get("securityContext")?;
    let going = settings.iter().filter(|setting| replacement(setting).is_none()).map(to_delete).collect();
    let deletions = kubernetes::remove(going, None);
    deletions.iter().any(|operation| operation.route == block.route()).then_some(block)
}

/// The value that is written in the place of a forbidden one; `None` where the entry goes.
fn replacement(setting: &Setting<'_>) -> Option<Value> {
    let text = |text: &str| Some(Value::Str(text.to_owned()));
    match setting.field.as_str() {
        "privileged" | "allowPrivilegeEscalation" => Some(Value::Bool(false)),
        "procMount" => text("Default"),
        "seccompProfile" => text("RuntimeDefault"),
        _ => None,
    }
}

/// What goes where a forbidden value is not replaced: its entry or item, or the block that it alone gives a meaning.
fn to_delete<'a>(setting: &Setting<'a>) -> Node<'a> {
    let whole = match setting.check {
        "sysctls" => setting.field == "name",
        "appArmorProfile" => setting.field == "type",
        _ => false,
    };
    setting.node.parent().filter(|_| whole).unwrap_or(setting.node)
}

/// The settings in words, as they are after the change.
fn what_changes(settings: &[Setting<'_>]) -> String {
    let mut capabilities = Vec::new();
    let mut others = Vec::new();
    for setting in settings {
        let value = printable(&setting.node.text());
        let field = printable(&setting.field);
        match (setting.check, replacement(setting)) {
            ("capabilities_restricted", _) => capabilities.push(value),
            ("sysctls", _) => others.push(format!("without the sysctl {value}")),
            ("appArmorProfile", _) => others.push("without an AppArmor profile of its own".to_owned()),
            ("seLinuxOptions", _) => others.push(format!("without seLinuxOptions.{field}")),
            (_, Some(Value::Str(text))) => others.push(format!("{field} {text}")),
            (_, Some(_)) => others.push(format!("{field}: false")),
            (_, None) => others.push(format!("without {field}: {value}")),
        }
    }
    if !capabilities.is_empty() {
        others.insert(0, format!("without the added {}", capabilities.join(", ")));
    }
    others.join(", ")
}

/// The settings as they are.
fn named(settings: &[Setting<'_>]) -> String {
    let mut fields: Vec<String> = settings
        .iter()
        .map(|setting| match setting.check {
            "capabilities_restricted" => printable(&setting.node.text()),
            "seLinuxOptions" | "appArmorProfile" => setting.check.to_owned(),
            "sysctls" => format!("the sysctl {}", printable(&setting.node.text())),
            _ if setting.node.kind() != Kind::Scalar => setting.field.clone(),
            _ => format!("{}: {}", printable(&setting.field), printable(&setting.node.text())),
        })
        .collect();
    fields.dedup();
    fields.join(", ")
}
