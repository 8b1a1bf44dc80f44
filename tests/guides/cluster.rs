//! Stands in for a cluster: what `kubectl apply -k` would send becomes one container on a node of the lab, run as the
//! kubelet would run it, but for the seccomp profile. It takes what the gateway's Deployment says, and refuses what it does
//! not know.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::common::container::{Container, Image, Mount};
use crate::common::tools::Tools;
use crate::common::{Lab, eventually};

/// The Deployment's namespace and name, and its program in the lab.
const NAME: &str = "vpngw";

/// With one node, and at most one Deployment.
pub(crate) struct Cluster {
    image: Image,
    tools: Tools,
    node: &'static str,
    objects: Vec<Value>,
}

impl Cluster {
    /// Skips, and says so, without the image or the tools.
    pub(crate) fn new(node: &'static str) -> Option<Self> {
        Some(Self { image: Image::load()?, tools: Tools::find()?, node, objects: Vec::new() })
    }

    /// Does what a `kubectl` with these arguments does in this directory; returns what it prints.
    pub(crate) async fn kubectl(&mut self, lab: &mut Lab, directory: &Path, arguments: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        match words[..] {
            ["apply", "-k", path] => self.apply(lab, &directory.join(path)),
            ["delete", "-k", _] => self.delete(lab).await,
            ["-n", NAME, "rollout", "status", "deployment/vpngw"] => self.rollout(lab).await,
            ["-n", NAME, "exec", "deployment/vpngw", "--", ref command @ ..] => self.image.exec(NAME, command),
            _ => anyhow::bail!("this stand-in does not know kubectl {arguments}"),
        }
    }

    fn apply(&mut self, lab: &mut Lab, directory: &Path) -> anyhow::Result<String> {
        let rendered = self.tools.kustomize(directory)?;
        self.objects = self.tools.yaml(&rendered)?;
        let container = self.container()?;
        lab.container(&self.image, NAME, self.node, &container);
        Ok(self.objects.iter().map(|object| format!("{} created\n", title(object, "/"))).collect())
    }

    /// As `kubectl rollout status`: ready is what the readiness probe says.
    async fn rollout(&mut self, lab: &Lab) -> anyhow::Result<String> {
        let probe = &self.main()?["readinessProbe"]["httpGet"];
        let (host, path) = (text(&probe["host"])?, text(&probe["path"])?);
        let port = probe["port"].as_u64().context("no port")?;
        let address = SocketAddr::new(host.parse()?, u16::try_from(port)?);
        eventually("the pod is ready", async || {
            let answer = lab.probe(self.node, address, path)?;
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            Ok(())
        })
        .await;
        Ok("deployment \"vpngw\" successfully rolled out\n".to_owned())
    }

    async fn delete(&mut self, lab: &mut Lab) -> anyhow::Result<String> {
        let hook = &self.main()?["lifecycle"]["preStop"]["exec"]["command"];
        let hook = list(hook)?.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?;
        let grace = self.pod()?["terminationGracePeriodSeconds"].as_u64().context("no grace period")?;
        let started = Instant::now();
        self.image.exec(NAME, &hook)?;
        lab.terminate(NAME).await;
        ensure!(started.elapsed().as_secs() < grace, "the kubelet would have killed it after {grace} s");
        Ok(self.objects.drain(..).map(|object| format!("{} deleted\n", title(&object, " "))).collect())
    }

    /// What the Deployment says of its only container.
    fn container(&self) -> anyhow::Result<Container> {
        let (pod, main) = (self.pod()?, self.main()?);
        ensure!(text(&main["image"])?.starts_with("registry.example.net/vpngw:"), "{}", main["image"]);
        let (identity, rights) = (&pod["securityContext"], &main["securityContext"]);
        ensure!(rights["capabilities"]["drop"] == serde_json::json!(["ALL"]), "{rights}");
        ensure!(rights["readOnlyRootFilesystem"] == true, "{rights}");
        let strings = |value: &Value| -> anyhow::Result<Vec<String>> {
            list(value)?.iter().map(|word| Ok(text(word)?.to_owned())).collect()
        };
        let id = |key: &str| identity[key].as_u64().and_then(|id| u32::try_from(id).ok()).context("no user or group");
        let mounts =
            list(&main["volumeMounts"])?.iter().map(|mount| self.mount(mount)).collect::<anyhow::Result<_>>()?;
        Ok(Container {
            args: strings(&main["args"])?,
            run_as: Some((id("runAsUser")?, id("runAsGroup")?)),
            capabilities: strings(&rights["capabilities"]["add"])?,
            allow_privilege_escalation: rights["allowPrivilegeEscalation"] == true,
            host_network: pod["hostNetwork"] == true,
            mounts,
            ..Container::default()
        })
    }

    fn mount(&self, mount: &Value) -> anyhow::Result<Mount> {
        let volumes = list(&self.pod()?["volumes"])?;
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).context("no such volume")?;
        let path = text(&mount["mountPath"])?;
        if volume["hostPath"]["path"] == "/dev/net/tun" && path == "/dev/net/tun" {
            return Ok(self.image.tun());
        }
        if volume["emptyDir"].is_object() {
            return Ok(self.image.empty_dir(path));
        }
        ensure!(volume["projected"]["defaultMode"] == 0o440, "this stand-in does not know {volume}");
        let mut files = Vec::new();
        for source in list(&volume["projected"]["sources"])? {
            files.extend(self.files(source)?);
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Ok(self.image.projected(path, &files))
    }

    /// What a ConfigMap or a Secret holds.
    fn files(&self, source: &Value) -> anyhow::Result<Vec<(String, String)>> {
        let (kind, name) = match (&source["configMap"], &source["secret"]) {
            (Value::Null, secret) => ("Secret", &secret["name"]),
            (map, _) => ("ConfigMap", &map["name"]),
        };
        let object = self.find(kind, name)?;
        let data = object["data"].as_object().context("no data")?;
        data.iter()
            .map(|(file, content)| {
                let content = text(content)?;
                let plain = match kind {
                    "Secret" => String::from_utf8(BASE64_STANDARD.decode(content)?)?,
                    _ => content.to_owned(),
                };
                Ok((file.clone(), plain))
            })
            .collect()
    }

    fn find(&self, kind: &str, name: &Value) -> anyhow::Result<&Value> {
        let found = self.objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == *name);
        found.with_context(|| format!("no {kind} {name}"))
    }

    fn pod(&self) -> anyhow::Result<&Value> {
        Ok(&self.find("Deployment", &NAME.into())?["spec"]["template"]["spec"])
    }

    fn main(&self) -> anyhow::Result<&Value> {
        let [main] = list(&self.pod()?["containers"])? else { anyhow::bail!("not one container") };
        Ok(main)
    }
}

/// As kubectl names an object: with its group, where it has one.
fn title(object: &Value, between: &str) -> String {
    let (kind, name) = (object["kind"].as_str(), object["metadata"]["name"].as_str());
    let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
    let group = group.map(|group| format!(".{group}")).unwrap_or_default();
    let quote = if between == " " { "\"" } else { "" };
    format!("{}{group}{between}{quote}{}{quote}", kind.unwrap_or_default().to_lowercase(), name.unwrap_or_default())
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("no text: {value}"))
}

fn list(value: &Value) -> anyhow::Result<&[Value]> {
    value.as_array().map(Vec::as_slice).with_context(|| format!("no list: {value}"))
}
