package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"pollbridge/internal/testkit"
)

// objects are those of a manifest, by KIND/NAME.
type objects map[string]any

// kinds are those that are known here.
var kinds = map[string]func() any{
	"v1 Namespace":                           func() any { return &corev1.Namespace{} },
	"v1 ServiceAccount":                      func() any { return &corev1.ServiceAccount{} },
	"v1 ConfigMap":                           func() any { return &corev1.ConfigMap{} },
	"v1 Secret":                              func() any { return &corev1.Secret{} },
	"v1 Service":                             func() any { return &corev1.Service{} },
	"v1 PersistentVolumeClaim":               func() any { return &corev1.PersistentVolumeClaim{} },
	"apps/v1 Deployment":                     func() any { return &appsv1.Deployment{} },
	"policy/v1 PodDisruptionBudget":          func() any { return &policyv1.PodDisruptionBudget{} },
	"autoscaling/v2 HorizontalPodAutoscaler": func() any { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"networking.k8s.io/v1 NetworkPolicy":     func() any { return &networkingv1.NetworkPolicy{} },
}

// decode reads a manifest as the API server does that refuses unknown fields.
func decode(t *testing.T, manifest string) objects {
	t.Helper()
	all := objects{}
	for document := range strings.SplitSeq("\n"+manifest, "\n---\n") {
		var head struct {
			metav1.TypeMeta
			Metadata struct{ Name string }
		}
		testkit.NoError(t, yaml.Unmarshal([]byte(document), &head))
		known := kinds[head.APIVersion+" "+head.Kind]
		if known == nil {
			t.Fatalf("there is no %s %s", head.APIVersion, head.Kind)
		}
		object := known()
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		all[head.Kind+"/"+head.Metadata.Name] = object
	}
	return all
}

// TestKubernetes: the manifests are such that a strict API server takes them, and what refers to
// something finds it.
func TestKubernetes(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), tree+"/deploy/kubernetes")
	testkit.NoError(t, err)
	text, err := built.AsYaml()
	testkit.NoError(t, err)
	fleet := decode(t, string(text))
	single := decode(t, read(t, "deploy/single/kubernetes.yaml"))
	secret := decode(t, read(t, "deploy/kubernetes/secret.yaml"))["Secret/pollbridge"].(*corev1.Secret)
	for key, value := range secret.StringData {
		if value != "" {
			t.Errorf("%s is in the form of the secret", key)
		}
	}
	checkPods(t, fleet, secret.StringData)
	checkPods(t, single, secret.StringData)

	pods := fleet["Deployment/pollbridge"].(*appsv1.Deployment).Spec.Template
	if budget := fleet["PodDisruptionBudget/pollbridge"].(*policyv1.PodDisruptionBudget); !selects(t, budget.Spec.Selector, pods.Labels) {
		t.Error("the disruption budget is for other pods")
	}
	target := fleet["HorizontalPodAutoscaler/pollbridge"].(*autoscalingv2.HorizontalPodAutoscaler).Spec.ScaleTargetRef
	if fleet[target.Kind+"/"+target.Name] == nil {
		t.Errorf("there is no %s to scale", target.Name)
	}
	for _, c := range pods.Spec.TopologySpreadConstraints {
		if !selects(t, c.LabelSelector, pods.Labels) {
			t.Error("other pods are spread")
		}
	}
	policy := fleet["NetworkPolicy/pollbridge"].(*networkingv1.NetworkPolicy)
	if !selects(t, &policy.Spec.PodSelector, pods.Labels) {
		t.Error("the network policy is for other pods")
	}
	for _, rule := range policy.Spec.Ingress {
		for _, port := range rule.Ports {
			if !hasPort(pods.Spec, port.Port.StrVal) {
				t.Errorf("the network policy lets pass to no port: %s", port.Port.StrVal)
			}
		}
	}
}

// checkPods checks what the Deployment of a manifest refers to, and what its Services do.
func checkPods(t *testing.T, all objects, secret map[string]string) {
	t.Helper()
	deployment := all["Deployment/pollbridge"].(*appsv1.Deployment)
	pods := deployment.Spec.Template
	if !selects(t, deployment.Spec.Selector, pods.Labels) {
		t.Error("the Deployment does not know its pods")
	}
	for name, object := range all {
		service, ok := object.(*corev1.Service)
		if !ok {
			continue
		}
		if !selects(t, &metav1.LabelSelector{MatchLabels: service.Spec.Selector}, pods.Labels) {
			t.Errorf("%s is for other pods", name)
		}
		for _, port := range service.Spec.Ports {
			if !hasPort(pods.Spec, port.TargetPort.StrVal) {
				t.Errorf("%s has no port to lead to: %s", name, port.TargetPort.StrVal)
			}
		}
	}
	if account := pods.Spec.ServiceAccountName; account != "" && all["ServiceAccount/"+account] == nil {
		t.Errorf("there is no service account %s", account)
	}
	volumes := map[string]bool{}
	for _, v := range pods.Spec.Volumes {
		volumes[v.Name] = true
		if v.PersistentVolumeClaim != nil && all["PersistentVolumeClaim/"+v.PersistentVolumeClaim.ClaimName] == nil {
			t.Errorf("there is no claim %s", v.PersistentVolumeClaim.ClaimName)
		}
		if v.Secret != nil {
			for _, item := range v.Secret.Items {
				if _, has := secret[item.Key]; !has {
					t.Errorf("the secret has no %s", item.Key)
				}
			}
		}
	}
	for _, c := range pods.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("there is no volume %s", m.Name)
			}
		}
		for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if p != nil && !hasPort(pods.Spec, p.HTTPGet.Port.StrVal) {
				t.Errorf("no port is probed: %s", p.HTTPGet.Port.StrVal)
			}
		}
		for _, from := range c.EnvFrom {
			if all["ConfigMap/"+from.ConfigMapRef.Name] == nil {
				t.Errorf("there is no %s", from.ConfigMapRef.Name)
			}
		}
		checkSettings(t, all, c, secret)
	}
}

// checkSettings has the program read the settings of a container.
func checkSettings(t *testing.T, all objects, c corev1.Container, secret map[string]string) {
	t.Helper()
	environment := map[string]string{}
	for _, from := range c.EnvFrom {
		for name, value := range all["ConfigMap/"+from.ConfigMapRef.Name].(*corev1.ConfigMap).Data {
			environment[name] = value
		}
	}
	for _, variable := range c.Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			key := variable.ValueFrom.SecretKeyRef.Key
			if _, has := secret[key]; !has {
				t.Errorf("the secret has no %s", key)
			}
			value = adminKey
		}
		environment[variable.Name] = regexp.MustCompile(`\$\((\w+)\)`).ReplaceAllStringFunc(value, func(s string) string { return environment[s[2:len(s)-1]] })
	}
	checkConfig(t, environment)
}

func hasPort(pod corev1.PodSpec, name string) bool {
	return slices.ContainsFunc(pod.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
	})
}

func selects(t *testing.T, s *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	testkit.NoError(t, err)
	return !selector.Empty() && selector.Matches(labels.Set(of))
}

// TestChartValues: NATS in Kubernetes allows a replica what NATS elsewhere does.
func TestChartValues(t *testing.T) {
	var values struct {
		Config struct {
			Cluster   struct{ Merge map[string]string }
			JetStream struct{ Merge map[string]string }
			Merge     struct {
				Accounts map[string]struct {
					Users []struct{ Permissions map[string][]string }
				}
			}
		}
	}
	testkit.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/kubernetes/nats-values.yaml")), &values))
	if values.Config.JetStream.Merge["sync_interval"] != "always" {
		t.Error("what is acknowledged need not be on the disk")
	}
	if interval := "ping_interval: " + values.Config.Cluster.Merge["ping_interval"]; !strings.Contains(read(t, "deploy/nats/nats.conf"), interval+" #") {
		t.Errorf("deploy/nats/nats.conf lacks %q", interval)
	}
	allowed := values.Config.Merge.Accounts["POLLBRIDGE"].Users[0].Permissions
	want := published(t)
	if !slices.Equal(allowed["publish"], want) || fmt.Sprint(allowed["subscribe"]) != "[pollbridge.>]" {
		t.Errorf("the values allow %v; deploy/nats/permissions.conf allows to publish %q", allowed, want)
	}
}
