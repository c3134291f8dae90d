import type { Shape } from "./shape.ts";

/*
 * What Kubernetes' own kinds say of their lists, quantities and defaults, from the types of kubernetes/api (v1.36).
 * Kinds are told apart by group and kind, since no list has changed its keys from one version to the next.
 */

type Fields = Readonly<Record<string, Shape>>;

const of = (fields: Fields): Shape => ({ fields });
const oneOf = (...defaults: unknown[]): Shape => ({ defaults });
const both = (one: Shape, other: Shape): Shape => ({ ...one, fields: { ...one.fields, ...other.fields } });

/** A list whose items are told apart by the first of `keys` that is there and unique. */
const by = (keys: readonly (readonly string[])[], fields: Fields = {}): Shape => ({
  list: { type: "map", keys },
  items: { fields },
});
const byName = (fields: Fields = {}): Shape => by([["name"]], fields);
const atomic = (fields: Fields = {}): Shape => ({ list: { type: "atomic" }, items: { fields } });

const set: Shape = { list: { type: "set" } };
const quantity: Shape = { quantity: true };
const quantities: Shape = { values: quantity };
const conditions = by([["type"]]);

const selector = of({ matchExpressions: atomic({ values: atomic() }) });

const metadata = of({
  annotations: oneOf({}),
  labels: oneOf({}),
  ownerReferences: by([["uid"]]),
  finalizers: set,
  managedFields: atomic(),
});

const resources = of({ limits: quantities, requests: quantities, claims: byName() });

const claimSpec = of({
  accessModes: atomic(),
  resources,
  selector,
  volumeMode: oneOf("Filesystem"),
});

const httpGet = of({ scheme: oneOf("HTTP"), path: oneOf("/"), httpHeaders: atomic() });
const handler = of({ exec: of({ command: atomic() }), httpGet });
const probe = both(
  handler,
  of({
    timeoutSeconds: oneOf(1),
    periodSeconds: oneOf(10),
    successThreshold: oneOf(1),
    failureThreshold: oneOf(3),
    grpc: of({ service: oneOf("") }),
  }),
);

const valueFrom = of({
  fieldRef: of({ apiVersion: oneOf("v1") }),
  resourceFieldRef: of({ divisor: { quantity: true, defaults: ["0"] } }),
});

const containers = byName({
  args: atomic(),
  command: atomic(),
  env: byName({ valueFrom }),
  envFrom: atomic(),
  imagePullPolicy: oneOf("IfNotPresent", "Always"),
  lifecycle: of({ postStart: handler, preStop: handler }),
  livenessProbe: probe,
  ports: by([["containerPort", "protocol"], ["containerPort"]], { protocol: oneOf("TCP") }),
  readinessProbe: probe,
  resizePolicy: atomic(),
  resources: { ...resources, defaults: [{}] },
  securityContext: of({ capabilities: of({ add: atomic(), drop: atomic() }) }),
  startupProbe: probe,
  terminationMessagePath: oneOf("/dev/termination-log"),
  terminationMessagePolicy: oneOf("File"),
  volumeDevices: by([["devicePath"]]),
  volumeMounts: by([["mountPath"]]),
});

const mode = oneOf(420);
const fromFields = atomic(valueFrom.fields);
const volumes = byName({
  configMap: of({ defaultMode: mode, items: atomic() }),
  downwardAPI: of({ defaultMode: mode, items: fromFields }),
  emptyDir: of({ sizeLimit: quantity }),
  ephemeral: of({ volumeClaimTemplate: of({ metadata, spec: claimSpec }) }),
  hostPath: of({ type: oneOf("") }),
  projected: of({
    defaultMode: mode,
    sources: atomic({
      configMap: of({ items: atomic() }),
      downwardAPI: of({ items: fromFields }),
      secret: of({ items: atomic() }),
      serviceAccountToken: of({ expirationSeconds: oneOf(3600) }),
    }),
  }),
  secret: of({ defaultMode: mode, items: atomic() }),
});

const terms = atomic({
  matchExpressions: atomic({ values: atomic() }),
  matchFields: atomic({ values: atomic() }),
});
const podTerms = of({
  requiredDuringSchedulingIgnoredDuringExecution: atomic({ labelSelector: selector, namespaces: atomic() }),
  preferredDuringSchedulingIgnoredDuringExecution: atomic({
    podAffinityTerm: of({ labelSelector: selector, namespaces: atomic() }),
  }),
});

const podSpec = of({
  affinity: of({
    nodeAffinity: of({
      requiredDuringSchedulingIgnoredDuringExecution: of({ nodeSelectorTerms: terms }),
      preferredDuringSchedulingIgnoredDuringExecution: atomic({ preference: of(terms.items!.fields!) }),
    }),
    podAffinity: podTerms,
    podAntiAffinity: podTerms,
  }),
  containers,
  dnsConfig: of({ nameservers: atomic(), options: atomic(), searches: atomic() }),
  dnsPolicy: oneOf("ClusterFirst"),
  enableServiceLinks: oneOf(true),
  ephemeralContainers: containers,
  hostAliases: by([["ip"]], { hostnames: atomic() }),
  imagePullSecrets: byName(),
  initContainers: containers,
  overhead: quantities,
  preemptionPolicy: oneOf("PreemptLowerPriority"),
  priority: oneOf(0),
  readinessGates: atomic(),
  resourceClaims: byName(),
  resources,
  restartPolicy: oneOf("Always"),
  schedulerName: oneOf("default-scheduler"),
  schedulingGates: byName(),
  securityContext: { ...of({ supplementalGroups: atomic(), sysctls: atomic() }), defaults: [{}] },
  terminationGracePeriodSeconds: oneOf(30),
  tolerations: atomic(),
  topologySpreadConstraints: by([["topologyKey", "whenUnsatisfiable"], ["topologyKey"]], {
    labelSelector: selector,
    matchLabelKeys: atomic(),
  }),
  volumes,
});

const podTemplate = of({ metadata, spec: podSpec });

const workload = (spec: Fields = {}): Shape =>
  of({ metadata, spec: of({ selector, template: podTemplate, ...spec }), status: of({ conditions }) });

const jobSpec: Fields = {
  backoffLimit: oneOf(6),
  completionMode: oneOf("NonIndexed"),
  completions: oneOf(1),
  manualSelector: oneOf(false),
  parallelism: oneOf(1),
  podFailurePolicy: of({ rules: atomic({ onPodConditions: atomic(), onExitCodes: of({ values: set }) }) }),
  podReplacementPolicy: oneOf("TerminatingOrFailed"),
  selector,
  suspend: oneOf(false),
  template: podTemplate,
};

const webhooks = byName({
  admissionReviewVersions: atomic(),
  matchConditions: byName(),
  matchPolicy: oneOf("Equivalent"),
  namespaceSelector: { ...selector, defaults: [{}] },
  objectSelector: { ...selector, defaults: [{}] },
  reinvocationPolicy: oneOf("Never"),
  rules: atomic({
    apiGroups: atomic(),
    apiVersions: atomic(),
    operations: atomic(),
    resources: atomic(),
    scope: oneOf("*"),
  }),
  timeoutSeconds: oneOf(10),
  clientConfig: of({ service: of({ port: oneOf(443) }) }),
});

const admissionPolicy = of({
  spec: of({
    auditAnnotations: atomic(),
    matchConditions: byName(),
    mutations: atomic(),
    validations: atomic(),
    variables: byName(),
    failurePolicy: oneOf("Fail"),
  }),
});

const rbacRules = atomic({
  apiGroups: atomic(),
  nonResourceURLs: atomic(),
  resourceNames: atomic(),
  resources: atomic(),
  verbs: atomic(),
});
const role = of({ rules: rbacRules, aggregationRule: of({ clusterRoleSelectors: atomic() }) });
const roleBinding = of({ subjects: atomic() });

const metricValue = of({ averageValue: quantity, value: quantity });
const metricSource = of({ target: metricValue, metric: of({ selector }) });
const scalingRules = of({ policies: atomic() });

const peers = atomic({ podSelector: selector, namespaceSelector: selector });
const policyPorts = atomic({ protocol: oneOf("TCP") });

/** By kind and group; a kind of the core group has no group. */
const KINDS: Readonly<Record<string, Shape>> = {
  Pod: of({ spec: podSpec, status: of({ podIPs: by([["ip"]]), hostIPs: by([["ip"]]) }) }),
  PodTemplate: of({ template: podTemplate }),
  ReplicationController: workload({ replicas: oneOf(1) }),
  "Deployment.apps": workload({
    progressDeadlineSeconds: oneOf(600),
    replicas: oneOf(1),
    revisionHistoryLimit: oneOf(10),
    strategy: {
      ...of({
        type: oneOf("RollingUpdate"),
        rollingUpdate: {
          ...of({ maxSurge: oneOf("25%"), maxUnavailable: oneOf("25%") }),
          defaults: [{ maxSurge: "25%", maxUnavailable: "25%" }],
        },
      }),
      defaults: [{ type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } }],
    },
  }),
  "ReplicaSet.apps": workload({ replicas: oneOf(1) }),
  "DaemonSet.apps": workload({
    revisionHistoryLimit: oneOf(10),
    updateStrategy: {
      ...of({
        type: oneOf("RollingUpdate"),
        rollingUpdate: {
          ...of({ maxSurge: oneOf(0), maxUnavailable: oneOf(1) }),
          defaults: [{ maxSurge: 0, maxUnavailable: 1 }],
        },
      }),
      defaults: [{ type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }],
    },
  }),
  "StatefulSet.apps": workload({
    persistentVolumeClaimRetentionPolicy: {
      ...of({ whenDeleted: oneOf("Retain"), whenScaled: oneOf("Retain") }),
      defaults: [{ whenDeleted: "Retain", whenScaled: "Retain" }],
    },
    podManagementPolicy: oneOf("OrderedReady"),
    replicas: oneOf(1),
    revisionHistoryLimit: oneOf(10),
    updateStrategy: {
      ...of({
        type: oneOf("RollingUpdate"),
        rollingUpdate: { ...of({ partition: oneOf(0) }), defaults: [{ partition: 0 }] },
      }),
      defaults: [{ type: "RollingUpdate", rollingUpdate: { partition: 0 } }],
    },
    volumeClaimTemplates: atomic({ metadata, spec: claimSpec }),
  }),
  "Job.batch": of({ spec: of(jobSpec) }),
  "CronJob.batch": of({
    spec: of({
      concurrencyPolicy: oneOf("Allow"),
      failedJobsHistoryLimit: oneOf(1),
      jobTemplate: of({ metadata, spec: of(jobSpec) }),
      successfulJobsHistoryLimit: oneOf(3),
      suspend: oneOf(false),
    }),
  }),
  Service: of({
    spec: of({
      allocateLoadBalancerNodePorts: oneOf(true),
      clusterIPs: atomic(),
      externalIPs: atomic(),
      externalTrafficPolicy: oneOf("Cluster"),
      internalTrafficPolicy: oneOf("Cluster"),
      ipFamilies: atomic(),
      ipFamilyPolicy: oneOf("SingleStack"),
      loadBalancerSourceRanges: atomic(),
      ports: by([["port", "protocol"], ["port"]], { protocol: oneOf("TCP") }),
      sessionAffinity: oneOf("None"),
      type: oneOf("ClusterIP"),
    }),
  }),
  ServiceAccount: of({ secrets: byName(), imagePullSecrets: byName() }),
  ConfigMap: of({}),
  Secret: of({ type: oneOf("Opaque") }),
  Endpoints: of({ subsets: atomic({ addresses: atomic(), notReadyAddresses: atomic(), ports: atomic() }) }),
  "EndpointSlice.discovery.k8s.io": of({ endpoints: atomic({ addresses: set }), ports: atomic() }),
  Namespace: of({ spec: of({ finalizers: set }) }),
  Node: of({
    spec: of({ podCIDRs: set, taints: atomic() }),
    status: of({
      addresses: by([["type"]]),
      allocatable: quantities,
      capacity: quantities,
      images: atomic(),
    }),
  }),
  PersistentVolume: of({
    spec: of({
      accessModes: atomic(),
      capacity: quantities,
      mountOptions: atomic(),
      persistentVolumeReclaimPolicy: oneOf("Retain"),
      volumeMode: oneOf("Filesystem"),
    }),
  }),
  PersistentVolumeClaim: of({ spec: claimSpec, status: of({ capacity: quantities }) }),
  ResourceQuota: of({
    spec: of({ hard: quantities, scopes: atomic() }),
    status: of({ hard: quantities, used: quantities }),
  }),
  LimitRange: of({
    spec: of({
      limits: atomic({
        default: quantities,
        defaultRequest: quantities,
        max: quantities,
        maxLimitRequestRatio: quantities,
        min: quantities,
      }),
    }),
  }),
  "HorizontalPodAutoscaler.autoscaling": of({
    spec: of({
      behavior: of({ scaleUp: scalingRules, scaleDown: scalingRules }),
      metrics: atomic({
        containerResource: metricSource,
        external: metricSource,
        object: metricSource,
        pods: metricSource,
        resource: metricSource,
      }),
      minReplicas: oneOf(1),
    }),
  }),
  "PodDisruptionBudget.policy": of({ spec: of({ selector }) }),
  "Ingress.networking.k8s.io": of({
    spec: of({ rules: atomic({ http: of({ paths: atomic() }) }), tls: atomic({ hosts: atomic() }) }),
  }),
  "NetworkPolicy.networking.k8s.io": of({
    spec: of({
      egress: atomic({ ports: policyPorts, to: peers }),
      ingress: atomic({ from: peers, ports: policyPorts }),
      podSelector: selector,
      policyTypes: atomic(),
    }),
  }),
  "Role.rbac.authorization.k8s.io": role,
  "ClusterRole.rbac.authorization.k8s.io": role,
  "RoleBinding.rbac.authorization.k8s.io": roleBinding,
  "ClusterRoleBinding.rbac.authorization.k8s.io": roleBinding,
  "ValidatingWebhookConfiguration.admissionregistration.k8s.io": of({ webhooks }),
  "MutatingWebhookConfiguration.admissionregistration.k8s.io": of({ webhooks }),
  "ValidatingAdmissionPolicy.admissionregistration.k8s.io": admissionPolicy,
  "MutatingAdmissionPolicy.admissionregistration.k8s.io": admissionPolicy,
  "StorageClass.storage.k8s.io": of({
    allowedTopologies: atomic(),
    mountOptions: atomic(),
    reclaimPolicy: oneOf("Delete"),
    volumeBindingMode: oneOf("Immediate"),
  }),
  "CSINode.storage.k8s.io": of({ spec: of({ drivers: byName({ topologyKeys: atomic() }) }) }),
  "PriorityClass.scheduling.k8s.io": of({ preemptionPolicy: oneOf("PreemptLowerPriority") }),
  "CustomResourceDefinition.apiextensions.k8s.io": of({
    spec: of({
      names: of({ categories: atomic(), shortNames: atomic() }),
      versions: atomic({ additionalPrinterColumns: atomic(), selectableFields: atomic() }),
      conversion: { ...of({ strategy: oneOf("None") }), defaults: [{ strategy: "None" }] },
    }),
    status: of({ storedVersions: atomic() }),
  }),
};

/** What every object has. */
const ANY = of({ metadata, status: of({ conditions }) });

/** Of kinds that nothing is known of: a pod's template is taken for one wherever such a kind may have it. */
const OTHERS = workload();

/** Whether the table knows the kind. */
export function isKnownKind(apiVersion: string, kind: string): boolean {
  return Object.hasOwn(KINDS, tableKey(apiVersion, kind));
}

/** What the table knows of objects of a kind; of other kinds, what is so of every object. */
export function builtinShape(apiVersion: string, kind: string): Shape {
  const own = isKnownKind(apiVersion, kind) ? KINDS[tableKey(apiVersion, kind)]! : OTHERS;
  const status = both(ANY.fields!.status!, own.fields?.status ?? {});
  return of({ ...ANY.fields, ...own.fields, status });
}

function tableKey(apiVersion: string, kind: string): string {
  const group = groupOf(apiVersion);
  return group === "" ? kind : `${kind}.${group}`;
}

/** `apps` of `apps/v1`; empty for the core group. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}
