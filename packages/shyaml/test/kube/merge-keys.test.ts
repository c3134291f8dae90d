import { describe, expect, test } from "vitest";
import { sameQuantity } from "../../src/kube/quantity.ts";
import { Schemas } from "../../src/kube/schema.ts";
import { absentMeans, fieldShape, itemShape, type Shape } from "../../src/kube/shape.ts";

/** The shape at a path of keys; `*` is a list's item. */
function at(shape: Shape, path: string): Shape {
  return path
    .split(".")
    .reduce((place, step) => (step === "*" ? itemShape(place) : fieldShape(place, step)), shape);
}

const keys = (shape: Shape) => (shape.list?.type === "map" ? shape.list.keys : shape.list?.type);

describe("the table of merge keys", () => {
  const schemas = new Schemas();

  test.each([
    ["Pod", "v1", "spec"],
    ["PodTemplate", "v1", "template.spec"],
    ["ReplicationController", "v1", "spec.template.spec"],
    ["Deployment", "apps/v1", "spec.template.spec"],
    ["ReplicaSet", "apps/v1", "spec.template.spec"],
    ["DaemonSet", "apps/v1", "spec.template.spec"],
    ["StatefulSet", "apps/v1", "spec.template.spec"],
    ["Job", "batch/v1", "spec.template.spec"],
    ["CronJob", "batch/v1", "spec.jobTemplate.spec.template.spec"],
    ["Rollout", "argoproj.io/v1alpha1", "spec.template.spec"],
  ])("a %s has the lists of a pod", (kind, apiVersion, path) => {
    const pod = at(schemas.shape(apiVersion, kind), path);
    expect(keys(at(pod, "containers"))).toEqual([["name"]]);
    expect(keys(at(pod, "containers.*.ports"))).toEqual([["containerPort", "protocol"], ["containerPort"]]);
    expect(keys(at(pod, "initContainers.*.env"))).toEqual([["name"]]);
    expect(keys(at(pod, "containers.*.envFrom"))).toEqual("atomic");
    expect(keys(at(pod, "containers.*.volumeMounts"))).toEqual([["mountPath"]]);
    expect(keys(at(pod, "topologySpreadConstraints"))).toEqual([
      ["topologyKey", "whenUnsatisfiable"],
      ["topologyKey"],
    ]);
    expect(keys(at(pod, "hostAliases"))).toEqual([["ip"]]);
    expect(at(pod, "containers.*.resources.limits.memory").quantity).toBe(true);
    expect(absentMeans(at(pod, "containers.*.ports.*"), "protocol")).toBe("TCP");
  });

  test("knows lists of other kinds, by group and not by kind alone", () => {
    const at2 = (apiVersion: string, kind: string, path: string) =>
      keys(at(schemas.shape(apiVersion, kind), path));
    expect(at2("v1", "Service", "spec.ports")).toEqual([["port", "protocol"], ["port"]]);
    expect(at2("serving.knative.dev/v1", "Service", "spec.ports")).toBeUndefined();
    expect(at2("v1", "Node", "status.addresses")).toEqual([["type"]]);
    expect(at2("rbac.authorization.k8s.io/v1", "ClusterRole", "rules")).toBe("atomic");
    expect(
      at2("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "webhooks.*.matchConditions"),
    ).toEqual([["name"]]);
  });

  test("knows of every object its owners, finalizers and conditions", () => {
    const anything = schemas.shape("example.com/v1", "Thing");
    expect(schemas.knows("example.com/v1", "Thing")).toBe(false);
    expect(keys(at(anything, "metadata.ownerReferences"))).toEqual([["uid"]]);
    expect(keys(at(anything, "metadata.finalizers"))).toBe("set");
    expect(keys(at(anything, "status.conditions"))).toEqual([["type"]]);
    expect(keys(at(anything, "constructor.prototype"))).toBeUndefined();
  });
});

describe("Schemas", () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    spec: {
      group: "example.com",
      names: { kind: "Gateway" },
      versions: [
        {
          name: "v1",
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec: {
                  properties: {
                    memory: {
                      "x-kubernetes-int-or-string": true,
                      pattern:
                        "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE].*))?$",
                    },
                    percent: { "x-kubernetes-int-or-string": true },
                    listeners: {
                      type: "array",
                      "x-kubernetes-list-type": "map",
                      "x-kubernetes-list-map-keys": ["host", "port"],
                      items: {
                        properties: { port: { default: 80 }, hosts: { "x-kubernetes-list-type": "set" } },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      ],
    },
  };

  test("reads a CustomResourceDefinition, also in a List", () => {
    for (const document of [definition, { kind: "List", items: [definition] }]) {
      const schemas = new Schemas();
      expect(schemas.add(document)).toBe(1);
      expect(schemas.knows("example.com/v1", "Gateway")).toBe(true);
      expect(schemas.knows("example.com/v2", "Gateway")).toBe(false);
      const shape = schemas.shape("example.com/v1", "Gateway");
      expect(keys(at(shape, "spec.listeners"))).toEqual([["host", "port"]]);
      expect(keys(at(shape, "spec.listeners.*.hosts"))).toBe("set");
      expect(absentMeans(at(shape, "spec.listeners.*"), "port")).toBe(80);
      expect(at(shape, "spec.memory").quantity).toBe(true);
      expect(at(shape, "spec.percent").quantity).toBeUndefined();
      expect(keys(at(shape, "metadata.finalizers"))).toBe("set");
    }
  });

  test("reads an OpenAPI file of a cluster, also one whose schemas hold themselves", () => {
    const schemas = new Schemas();
    const added = schemas.add({
      openapi: "3.0.0",
      components: {
        schemas: {
          Tree: {
            properties: {
              size: {
                allOf: [{ $ref: "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity" }],
              },
              branches: {
                type: "array",
                items: { $ref: "#/components/schemas/Tree" },
                "x-kubernetes-patch-merge-key": "name",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name", "side"],
              },
              tags: { type: "array", items: { type: "string" }, "x-kubernetes-patch-strategy": "merge" },
              loop: { $ref: "#/components/schemas/Loop" },
            },
            "x-kubernetes-group-version-kind": [{ group: "", version: "v1", kind: "Tree" }],
          },
          Loop: { $ref: "#/components/schemas/Loop" },
          "io.k8s.apimachinery.pkg.api.resource.Quantity": { type: "string" },
        },
      },
    });
    expect(added).toBe(1);
    const tree = schemas.shape("v1", "Tree");
    expect(keys(at(tree, "branches.*.branches.*.branches"))).toEqual([["name", "side"], ["name"]]);
    expect(at(tree, "branches.*.size").quantity).toBe(true);
    expect(keys(at(tree, "tags"))).toBe("set");
    expect(at(tree, "loop.anything").list).toBeUndefined();
  });

  test("says of anything else that it tells of no kind", () => {
    const schemas = new Schemas();
    for (const document of [null, 1, [], {}, { kind: "CustomResourceDefinition" }, { definitions: [] }]) {
      expect(schemas.add(document)).toBe(0);
    }
  });
});

describe("sameQuantity", () => {
  test.each([
    ["1000m", "1"],
    ["1Gi", "1024Mi"],
    ["0.5", "500m"],
    [1, "1.0"],
    ["1e3", 1000],
    ["12E", "12e18"],
    ["-1k", "-1000"],
    [".5Ki", "512"],
    ["9007199254740993", "9007199254740993000m"],
  ])("%s is %s", (one, other) => {
    expect(sameQuantity(one, other)).toBe(true);
  });

  test.each([
    ["1Gi", "1G"],
    ["100m", "100M"],
    ["9007199254740993", "9007199254740992"],
    ["one", "one"],
    ["", ""],
    ["1e99999", "1e99999"],
    ["1KiB", "1024"],
    [true, true],
  ])("%s is not %s", (one, other) => {
    expect(sameQuantity(one, other)).toBe(false);
  });
});
