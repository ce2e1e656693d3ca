"""The JSON Schema of the chart's values (draft-07, what every Helm 3 reads).

What ends in the platform file (ladders, pools, models, networks, sizes) takes its schema from the operators' own
models, so that Helm refuses what the operators would refuse. Trap avoided: a schema without
`additionalProperties: false` lets each misspelt value pass in silence.
"""

from typing import Any

from pydantic import BaseModel

from operators.core.platform import CdnProvider, Ladder, ModelApp, Pool, Sizes

Schema = dict[str, Any]
QUANTITY = r"^[0-9]+(\.[0-9]+)?([kKMGTPE]i?|m)?$"
DNS = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
NAME = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"
CIDR = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"
SERVICES = {
    "operators": "The operators",
    "identity": "Sessions and tokens",
    "ingest": "RTMP for publishers",
    "edge": "The web application and the cache before the origins",
    "webrtc": "WHEP and WHIP, on one UDP port a pod",
    "recorder": "Recordings, replays, thumbnails and clips",
    "probe": "Watches live streams and measures how late they are",
    "commerce": "The HTTP interface of the shop",
    "committer": "The bridge from Redis to the ledger; one replica at most",
    "audit": "The hourly look through the ledger",
    "redis": "The chart's own Redis",
    "postgres": "The chart's own PostgreSQL",
}


def text(description: str, **more: Any) -> Schema:
    """A string."""
    return {"type": "string", "description": description, **more}


def whole(description: str, minimum: int, maximum: int) -> Schema:
    """An integer between bounds."""
    return {"type": "integer", "description": description, "minimum": minimum, "maximum": maximum}


def flag(description: str) -> Schema:
    """A boolean."""
    return {"type": "boolean", "description": description}


def group(description: str, **properties: Schema) -> Schema:
    """An object with these members and no other."""
    return {"type": "object", "description": description, "additionalProperties": False, "properties": properties}


def mapping(description: str, of: Schema) -> Schema:
    """An object of any keys."""
    return {"type": "object", "description": description, "additionalProperties": of}


def many(description: str, of: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "description": description, "items": of, **more}


def strings(description: str) -> Schema:
    """Labels, annotations and the like."""
    return mapping(description, {"type": "string"})


def values_schema() -> Schema:
    """The whole schema."""
    definitions: Schema = {}
    properties = {
        **_general(),
        **_access(),
        "monitoring": _monitoring(),
        **{name: _service(name) for name in SERVICES},
        **_platform(definitions),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart haat",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "definitions": definitions,
    }


def _general() -> Schema:
    own = ("operators", "workloads", "models")
    images = {name: _image(f"Image of {name}", own=name in own) for name in (*own, "redis", "postgres")}
    return {
        "global": group(
            "For all images",
            imageRegistry=text("Registry (and path) before every image"),
            imageTag=text("Tag of Haat's own images; default: the chart's appVersion"),
            imagePullSecrets=many("Secrets for the registry", group("A Secret", name=text("Name", pattern=DNS))),
        ),
        "images": group(
            "Images",
            **images,
            pullPolicy=text("When kubelets pull", enum=["Always", "IfNotPresent", "Never"]),
        ),
        "ha": group(
            "High availability",
            enabled=flag("At least ha.replicas of all that may have several, spread, with budgets and priorities"),
            replicas=whole("Replicas with ha.enabled", 2, 100),
        ),
        "priorityClasses": group(
            "Priority classes of this release",
            create=flag("Make <release>-control and <release>-service; ha.enabled makes them too"),
            control=whole("Value of the class for what streams and sales depend on", 1, 1_000_000_000),
            service=whole("Value of the class for the rest", 1, 1_000_000_000),
            balloon=whole("Value of the class of pods that hold nodes ready before a sale", -1_000_000_000, 0),
        ),
        "rolloutPolicy": text("When an upgrade reaches the pods of streams", enum=["WhenIdle", "Immediate"]),
        "publicUrl": text("Where viewers reach the platform", pattern="^https?://"),
        "ingress": group(
            "Routes",
            className=text("Class of all Ingresses, those of streams too", pattern=DNS),
            createClass=flag("Make the IngressClass, when no controller brought it"),
            controller=text("Controller of that class"),
            annotations=strings("Annotations of the platform's Ingress"),
            trustedProxies=many("Networks whose X-Forwarded-For is believed", text("CIDR", pattern=CIDR)),
        ),
        "rtmp": group(
            "Publishing",
            publicUrl=text("Shown to hosts, without the key", pattern="^rtmps?://"),
            internalUrl=text("For publishers in the cluster; default: the Service's name"),
            tlsSecret=text("Secret with tls.crt and tls.key: RTMPS on port 1936, too"),
            service=group(
                "The Service rtmp",
                type=text("Type", enum=["ClusterIP", "NodePort", "LoadBalancer"]),
                nodePort=whole("Port of each node; 0: the cluster chooses", 0, 65535),
                annotations=strings("Annotations"),
            ),
        ),
        "srt": group(
            "Publishing by SRT",
            enabled=flag("Listen for SRT; needs auth.sealKey"),
            publicUrl=text("Shown to hosts", pattern="^srt://"),
            latencyMs=whole("How long a lost packet is waited for, in milliseconds", 20, 8000),
            service=group(
                "The Service srt",
                type=text("Type", enum=["ClusterIP", "NodePort", "LoadBalancer"]),
                nodePort=whole("UDP port of each node; 0: the cluster chooses", 0, 65535),
                annotations=strings("Annotations"),
            ),
        ),
        "autoscaling": group(
            "For rooms scaled by KEDA", prometheusUrl=text("Prometheus that KEDA asks", pattern="^(https?://.*)?$")
        ),
    }


def _image(description: str, *, own: bool) -> Schema:
    default = "Tag; default: global.imageTag, then the chart's appVersion" if own else "Tag"
    return group(
        description,
        registry=text("Registry; global.imageRegistry comes first"),
        repository=text("Repository", minLength=1),
        tag=text(default),
        digest=text("Digest, used instead of the tag", pattern="^(sha256:[0-9a-f]{64})?$"),
    )


def _access() -> Schema:
    peers: Schema = {"type": "object"}
    return {
        "auth": group(
            "Signing of tokens; `haat auth-values` makes a pair",
            privateKey=text("Ed25519 key (PEM)"),
            jwks=text("Public keys (JWKS); needed always"),
            sealKey=text("AES-SIV key (base64 of 64 bytes) that SRT needs"),
            existingSecret=text("Secret with `private-key` and `seal-key`, instead of these"),
        ),
        "rbac": group(
            "Rights of the operators",
            scope=text("cluster, or namespaced: one Role in each watched namespace", enum=["cluster", "namespaced"]),
            watchNamespaces=many("Namespaces of shops, with scope namespaced", {"type": "string", "pattern": DNS}),
            aggregateRoles=flag("Add Haat's kinds to the cluster's view, edit and admin roles"),
        ),
        "networkPolicy": group(
            "NetworkPolicies: nothing comes in unless a policy allows it",
            enabled=flag("Make them, for the platform and for streams"),
            ingressFrom=many("NetworkPolicyPeers that reach public HTTP; empty: everybody", peers),
            monitoringFrom=many("NetworkPolicyPeers that scrape metrics", peers),
            gatewayNamespaces=many(
                "Namespaces whose pods reach streams: the platform's own and the ingress controller's",
                {"type": "string", "pattern": DNS},
            ),
            externalTo=many("Where an external Redis or PostgreSQL is; empty: anywhere", peers),
            externalPorts=many("Their ports", whole("A port", 1, 65535)),
        ),
    }


def _monitoring() -> Schema:
    labels = strings("Labels that your Prometheus or Grafana selects by")
    return group(
        "Prometheus and Grafana",
        serviceMonitor=group(
            "ServiceMonitor and PodMonitor",
            enabled=flag("Needs the Prometheus operator"),
            interval=text("Scrape interval", pattern="^[0-9]+(ms|s|m)$"),
            labels=labels,
        ),
        prometheusRule=group(
            "PrometheusRule with the alerts",
            enabled=flag("Needs the Prometheus operator"),
            labels=labels,
            runbooks=text("Before `/<alert>.md` in runbook_url"),
        ),
        dashboards=group("Dashboards as ConfigMaps", enabled=flag("Make them"), labels=labels),
    )


def _service(name: str) -> Schema:
    described = SERVICES[name]
    own: Schema = {}
    if name not in ("audit", "redis", "postgres"):
        own["replicas"] = whole("Replicas", 0, 1 if name in ("committer", "probe") else 1000)
    if name == "operators":
        own |= {
            "leaderElection": flag("Hold a Lease; must be true with several replicas"),
            "workers": whole("Reconciles at a time", 1, 256),
        }
    if name == "edge":
        own["limits"] = group(
            "How many may watch, and how much they may take",
            accountSessions=whole("Sessions of one account at a time; 0: any number", 0, 1000),
            accountPolicy=text("Which one goes beyond that: the oldest or the newest", enum=["evict", "refuse"]),
            viewerKbps=whole("What one viewer may take; 0: any", 0, 10_000_000),
            connections=whole("Of one pod; beyond it new viewers are turned away", 1, 1_000_000),
        )
    if name == "webrtc":
        own |= _webrtc()
    if name == "recorder":
        own["storage"] = _recordings()
    if name == "probe":
        own["maxWatched"] = whole("Streams that are watched at the same time; more take turns", 1, 500)
    if name == "audit":
        own |= {"enabled": flag("Run it"), "schedule": text("Cron schedule", pattern=r"^\S+(\s+\S+){4}$")}
    if name in ("redis", "postgres"):
        own |= {
            "external": _external(name),
            "storage": text("Size of the volume", pattern=QUANTITY),
            "storageClassName": text("Storage class; empty: the cluster's default"),
        }
    if name == "postgres":
        own["password"] = text("Empty: one is generated and kept")
    return group(described, **own, **_pod())


def _webrtc() -> Schema:
    server = group(
        "As browsers write it",
        urls={"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
        username=text("User; empty with turnSecret"),
        credential=text("Password; empty with turnSecret"),
    )
    return {
        "udpPort": whole("UDP port of each pod", 1, 65535),
        "hostPort": flag("Take it on the node too, and tell peers the node's address"),
        "advertise": text("Address that peers are told instead: ip or ip:port"),
        "maxViewers": whole("Viewers of one pod; the next is told to try again", 1, 100_000),
        "iceServers": many("STUN and TURN servers that peers are told", server | {"required": ["urls"]}),
        "turnSecret": group(
            "coturn's static-auth-secret", existingSecret=text("Secret that holds it"), key=text("Key in that Secret")
        ),
    }


def _recordings() -> Schema:
    return group(
        "Where recordings are kept",
        url=text("s3://bucket/prefix; empty: a volume of the chart's own", pattern="^(s3://[a-z0-9].*)?$"),
        endpoint=text("Of an S3 server that is not AWS", pattern="^(https?://.+)?$"),
        region=text("Region"),
        existingSecret=text("Secret with access-key-id and secret-access-key; empty: the pod's cloud identity"),
        to=many("Where the store is, as NetworkPolicyPeers; empty: anywhere", {"type": "object"}),
        ports=many("Its ports", whole("A port", 1, 65535)),
        size=text("Size of the chart's own volume", pattern=QUANTITY),
        storageClassName=text("Its storage class; empty: the cluster's default"),
        accessMode=text("ReadWriteMany allows several replicas", enum=["ReadWriteOnce", "ReadWriteMany"]),
        spool=text("What may wait while the store is away", pattern="^[1-9][0-9]*[MGT]i$"),
    )


def _external(name: str) -> Schema:
    schemes = "^(rediss?://.+)?$" if name == "redis" else "^(postgresql://.+)?$"
    more = {}
    if name == "postgres":
        modes = ["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
        more = {
            "sslMode": text("TLS to the server; empty: the client's default", enum=modes),
            "caConfigMap": text("ConfigMap with ca.crt, for verify-ca and verify-full"),
        }
    return group(
        "A server of your own instead of the chart's",
        url=text("Its URL; kept in a Secret", pattern=schemes),
        existingSecret=text("Secret that holds the URL"),
        existingSecretKey=text("Key in that Secret", minLength=1),
        **more,
    )


def _pod() -> Schema:
    amounts = mapping("Amounts", {"type": ["string", "number"], "pattern": QUANTITY})
    return {
        "resources": group("Requests and limits", requests=amounts, limits=amounts),
        "nodeSelector": strings("Labels that a node must have"),
        "tolerations": many("Taints that are tolerated", {"type": "object"}),
        "affinity": {"type": "object", "description": "Affinity"},
        "topologySpreadConstraints": many("Instead of ha.enabled's spread over zones and nodes", {"type": "object"}),
        "podAnnotations": strings("Annotations of the pods"),
        "podLabels": strings("Further labels of the pods"),
        "extraEnv": many("Further environment", {"type": "object", "required": ["name"]}),
        "priorityClassName": text("Instead of the release's own class"),
    }


def _capacity() -> Schema:
    described = {
        "commerce": "Replicas of commerce for sales",
        "edge": "Replicas of the edge for sales",
        "identity": "Replicas of identity for sales",
    }
    services = {
        name: group(
            description,
            rpsPerReplica=whole("Taps a second of sales (capacity.expectedPeakRps) that one replica carries", 1, 10**6),
            max=whole("Most replicas", 1, 1000),
            autoscaler=text("HorizontalPodAutoscaler of yours, whose minReplicas is raised instead", pattern=NAME),
        )
        for name, description in described.items()
    }
    return group("Services that the sales of all shops go through", **services)


def _platform(definitions: Schema) -> Schema:
    def of(model: type[BaseModel]) -> Schema:
        schema = model.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[model.__name__] = schema
        return {"$ref": f"#/definitions/{model.__name__}"}

    ladders = mapping("What a stream may name in spec.encoding.ladderRef", of(Ladder)) | {"required": ["default"]}
    return {
        "ladders": ladders,
        "pools": mapping("Warm transcoders", of(Pool)),
        "models": mapping("What a stream may name in spec.models[].modelRef", of(ModelApp)),
        "capacity": _capacity(),
        "cdnProviders": mapping("What a channel may name in delivery.cdns", of(CdnProvider)),
        "sizes": {"description": "Requests and memory limits of a stream's pods", "allOf": [of(Sizes)]},
    }
