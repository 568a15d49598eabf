//! Which container is joined to which Dockerfile, by what, and where the answer is that nobody can tell.
#![allow(clippy::unwrap_used)]

mod support;

use support::workspace::Workspace;
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::link::{How, Link, Links};
use unroot::repository::Repository;

const DOCKERFILE: &str = "FROM scratch\nCOPY x /x\nCMD [\"/x\"]\n";

fn pod(image: &str) -> String {
    named_pod("p", image)
}

fn named_pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: {name}\n    image: {image}\n"
    )
}

/// How the first container of a tree is linked: `path by how`, `ambiguous: paths` or `external`.
fn link(files: &[(&str, &str)]) -> String {
    let workspace = Workspace::new();
    for (path, text) in files {
        workspace.write(&format!("shop/{path}"), text);
    }
    let root = workspace.path("shop");
    let config = Config::load(&root).unwrap();
    let repository = Repository::parse(Tree::discover(&[root], &[]).unwrap(), &config);
    let links = Links::find(&repository, &config);
    let id = repository.containers().next().unwrap();
    let path = |id: &unroot::repository::FileId| repository.file(*id).path.clone();
    match links.of(id) {
        Link::Linked { dockerfile, how } => {
            let how = match how {
                How::Configured => "configuration".to_owned(),
                How::Declared(file) | How::Service(file) => file.clone(),
                How::Named => "name".to_owned(),
            };
            format!("{} by {how}", path(dockerfile))
        }
        Link::Service { dockerfile, base } => {
            format!("{}, run as {base}", repository.file(*dockerfile).path)
        }
        Link::Ambiguous(candidates) => {
            format!("ambiguous: {}", candidates.iter().map(path).collect::<Vec<_>>().join(" "))
        }
        Link::External => "external".to_owned(),
    }
}

#[test]
fn a_folder_a_file_or_the_repository_gives_the_name() {
    assert_eq!(
        link(&[("cart/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("ghcr.io/team/cart:v1"))]),
        "cart/Dockerfile by name"
    );
    assert_eq!(
        link(&[("cart_api/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("cart-api"))]),
        "cart_api/Dockerfile by name"
    );
    assert_eq!(link(&[("Dockerfile.worker", DOCKERFILE), ("k8s.yaml", &pod("worker:1"))]), "Dockerfile.worker by name");
    assert_eq!(link(&[("Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("team/shop:1"))]), "Dockerfile by name");
    assert_eq!(
        link(&[("cart/docker/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("cart"))]),
        "cart/docker/Dockerfile by name"
    );
}

#[test]
fn a_declaration_comes_before_a_name() {
    let two = [("a/Dockerfile", DOCKERFILE), ("cart/Dockerfile", DOCKERFILE)];
    let with = |path: &'static str, text: &'static str| {
        link(&[two[0], two[1], (path, text), ("k8s.yaml", &pod("team/cart:v1"))])
    };
    assert_eq!(
        with("compose.yaml", "services:\n  x:\n    image: cart:dev\n    build: ./a\n"),
        "a/Dockerfile by compose.yaml"
    );
    assert_eq!(
        with(
            "docker-compose.yml",
            "services:\n  cart:\n    build:\n      context: .\n      dockerfile: a/Dockerfile\n"
        ),
        "a/Dockerfile by docker-compose.yml"
    );
    assert_eq!(
        with(
            "skaffold.yaml",
            "apiVersion: skaffold/v4beta1\nkind: Config\nbuild:\n  artifacts:\n  - image: cart\n    context: a\n"
        ),
        "a/Dockerfile by skaffold.yaml"
    );
    let official = |compose: &str| {
        link(&[("proxy/Dockerfile", DOCKERFILE), ("compose.yaml", compose), ("k8s.yaml", &pod("nginx:1.27"))])
    };
    assert_eq!(official("services:\n  nginx:\n    build: proxy\n"), "ambiguous: proxy/Dockerfile");
    assert_eq!(official("services:\n  web:\n    image: nginx\n    build: proxy\n"), "proxy/Dockerfile by compose.yaml");
    assert_eq!(
        with("Makefile", "image:\n\tdocker build -t $(REGISTRY)/cart:$(TAG) \\\n\t  ./a\n"),
        "a/Dockerfile by Makefile"
    );
    assert_eq!(
        with(
            ".github/workflows/ci.yaml",
            "jobs:\n  b:\n    steps:\n    - run: docker buildx build --push -t cart:v2 a\n"
        ),
        "a/Dockerfile by .github/workflows/ci.yaml"
    );
    assert_eq!(
        with("unroot.toml", "[[link]]\nimage = \"team/cart\"\ndockerfile = \"a/Dockerfile\"\n"),
        "a/Dockerfile by configuration"
    );
}

#[test]
fn the_nearest_of_several_is_meant() {
    let files = [("one/web/Dockerfile", DOCKERFILE), ("two/web/Dockerfile", DOCKERFILE)];
    assert_eq!(link(&[files[0], files[1], ("two/k8s/pod.yaml", &pod("web"))]), "two/web/Dockerfile by name");
    assert_eq!(
        link(&[files[0], files[1], ("k8s/pod.yaml", &pod("web"))]),
        "ambiguous: one/web/Dockerfile two/web/Dockerfile",
        "both are as far"
    );
}

#[test]
fn a_similar_name_needs_a_second_sign() {
    let files = [("web/Dockerfile", DOCKERFILE)];
    assert_eq!(link(&[files[0], ("k8s.yaml", &named_pod("web", "shop-web:v1"))]), "web/Dockerfile by name");
    assert_eq!(link(&[files[0], ("k8s.yaml", &named_pod("front", "shop-web:v1"))]), "ambiguous: web/Dockerfile");
    assert_eq!(link(&[files[0], ("k8s.yaml", &named_pod("web", "website:v1"))]), "external", "a word is not cut");
    let local = format!("{}    imagePullPolicy: Never\n", named_pod("front", "shop-web:v1"));
    assert_eq!(link(&[files[0], ("k8s.yaml", &local)]), "web/Dockerfile by name");
    assert_eq!(
        link(&[files[0], ("api/Dockerfile", DOCKERFILE), ("k8s.yaml", &local)]),
        "ambiguous: web/Dockerfile",
        "either may be there without being pulled"
    );
}

#[test]
fn a_row_of_the_configuration_says_what_an_image_is_and_not_where_it_is_built() {
    let row = "[[image]]\nname = \"team/shop-web\"\nfamily = \"other\"\n";
    let manifest = named_pod("web", "team/shop-web:7");
    assert_eq!(link(&[("web/Dockerfile", DOCKERFILE), ("k8s.yaml", &manifest)]), "web/Dockerfile by name");
    assert_eq!(link(&[("web/Dockerfile", DOCKERFILE), ("k8s.yaml", &manifest), ("unroot.toml", row)]), "external");
    assert_eq!(
        link(&[("shop-web/Dockerfile", DOCKERFILE), ("k8s.yaml", &manifest), ("unroot.toml", row)]),
        "shop-web/Dockerfile by name"
    );
}

#[test]
fn an_official_name_may_be_either() {
    assert_eq!(link(&[("redis/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("redis:7"))]), "ambiguous: redis/Dockerfile");
    assert_eq!(
        link(&[("redis/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("team/redis:7"))]),
        "redis/Dockerfile by name"
    );
    assert_eq!(
        link(&[("grafana/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("grafana/grafana:10.4.0"))]),
        "ambiguous: grafana/Dockerfile"
    );
    assert_eq!(link(&[("web/Dockerfile", DOCKERFILE), ("k8s.yaml", &pod("redis:7"))]), "external");
}

#[test]
fn what_leads_out_of_the_tree_or_is_a_variable_declares_nothing() {
    let with = |path: &'static str, text: &'static str| {
        link(&[("a/Dockerfile", DOCKERFILE), (path, text), ("k8s.yaml", &pod("cart"))])
    };
    assert_eq!(with("compose.yaml", "services:\n  cart:\n    build: ../../etc\n"), "external");
    assert_eq!(with("build.sh", "docker build -t cart $DIR\n"), "external");
    assert_eq!(with("build.sh", "docker build -t \"$NAME\" a\n"), "external");
    assert_eq!(with("compose.yaml", "services: {cart: {build: \"${DIR}\"}}\n"), "external");
}
