import { join } from "node:path";
import { folderOf, type Ran, shyaml } from "../running.ts";
import { FakeApi } from "./fake-api.ts";

/** A cluster, a home for kubectl, and manifests. */
export class Stage implements AsyncDisposable {
  readonly api: FakeApi;
  readonly #folder;

  private constructor(api: FakeApi, files: Readonly<Record<string, string>>) {
    this.api = api;
    this.#folder = folderOf({ "home/.keep": "", ...files });
  }

  static async open(files: Readonly<Record<string, string>> = {}): Promise<Stage> {
    return new Stage(await FakeApi.start(), files);
  }

  get path(): string {
    return this.#folder.path;
  }

  get env(): Record<string, string> {
    return { KUBECONFIG: "/dev/null", HOME: join(this.path, "home"), NO_COLOR: "1" };
  }

  /** Runs `shyaml kubediff` against the cluster. */
  kubediff(args: readonly string[], input?: string): Promise<Ran> {
    const flags = [`--kubectl-flag=--server=${this.api.url}`];
    const options = { cwd: this.path, env: this.env };
    return shyaml(["kubediff", ...args, ...flags], input === undefined ? options : { ...options, input });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api.stop();
    this.#folder[Symbol.dispose]();
  }
}

/** What kubectl keeps of what it applied. */
export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** A deployment as clusters have it, with all that they add. */
export function liveDeployment(lastApplied?: object): Record<string, unknown> {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: "web",
      namespace: "default",
      uid: "6f6d",
      generation: 3,
      resourceVersion: "77",
      creationTimestamp: "2026-01-01T00:00:00Z",
      annotations: {
        "deployment.kubernetes.io/revision": "4",
        ...(lastApplied && { [LAST_APPLIED]: `${JSON.stringify(lastApplied)}\n` }),
      },
      managedFields: [
        {
          manager: "autoscaler",
          operation: "Update",
          fieldsType: "FieldsV1",
          fieldsV1: { "f:spec": { "f:replicas": {}, "f:minReadySeconds": {} } },
        },
      ],
    },
    spec: {
      replicas: 5,
      minReadySeconds: 7,
      paused: false,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: { app: "web" } },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          dnsPolicy: "ClusterFirst",
          restartPolicy: "Always",
          schedulerName: "default-scheduler",
          securityContext: {},
          terminationGracePeriodSeconds: 30,
          containers: [
            {
              name: "web",
              image: "web:1",
              imagePullPolicy: "IfNotPresent",
              ports: [{ containerPort: 80, protocol: "TCP" }],
              resources: { requests: { cpu: "1", memory: "1Gi" } },
              terminationMessagePath: "/dev/termination-log",
              terminationMessagePolicy: "File",
            },
          ],
        },
      },
    },
    status: { replicas: 5, conditions: [{ type: "Available", status: "True" }] },
  };
}

/** The manifest that it came from. */
export const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 5
  minReadySeconds: 7
  paused: false
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: web:1
          ports: [{ containerPort: 80 }]
          resources: { requests: { cpu: 1000m, memory: 1024Mi } }
`;
