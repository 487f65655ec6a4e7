package scenario

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
)

// The names that are guessed from are those of the plugins in this repository.
func TestBuiltinPlugins(t *testing.T) {
	programs, err := filepath.Glob("../../plugins/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range programs {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	if !slices.Equal(names, builtin) {
		t.Errorf("the plugins are %q, and what is guessed is one of %q", names, builtin)
	}
}

func number(f float64) *float64 { return &f }

// descriptions resemble those of the built-in plugins closely enough to load the
// scenarios of the documentation.
var descriptions = map[string]*schema.Description{
	"docker": {
		Format: 1, Name: "docker", Version: "0.1.0",
		Settings: schema.Body{Attributes: []schema.Attribute{
			{Name: "host", Type: "string", Default: "unix:///var/run/docker.sock"},
			{Name: "registry_password", Type: "string", Sensitive: true},
			{Name: "ca_file", Type: "string"},
		}},
		Faults: []schema.Fault{
			dockerFault("docker_disconnect", schema.Body{Attributes: []schema.Attribute{{Name: "network", Type: "string", Required: true, Doc: "the network to leave"}}}),
			dockerFault("docker_kill", schema.Body{Attributes: []schema.Attribute{
				{Name: "signal", Type: "string", Default: "SIGKILL", Enum: []string{"SIGKILL", "SIGTERM", "SIGINT"}},
				{Name: "via", Type: "string", Default: "engine", Enum: []string{"engine", "crash"}},
			}}),
			dockerFault("docker_pause", schema.Body{}),
			dockerFault("docker_restart", schema.Body{}),
			dockerFault("docker_stop", schema.Body{Attributes: []schema.Attribute{{Name: "grace", Type: "duration", Default: "10s", Max: number(300)}}}),
			{
				Type: "docker_wipe", Config: schema.Body{}, Reversibility: schema.Irreversible,
				Accepts: []schema.Accept{{Interface: "container", Attributes: []string{"volume"}}},
			},
			{
				Type: "docker_remove", Config: schema.Body{}, Reversibility: schema.Irreversible,
				Accepts: []schema.Accept{{Interface: "container"}},
			},
		},
		Targets: []schema.Target{{
			Type: "docker_container", Interfaces: []string{"container", "netns"},
			Match: schema.Body{Attributes: []schema.Attribute{
				{Name: "label", Type: "map(string)"},
				{Name: "name", Type: "string"},
				{Name: "networks", Type: "list(string)"},
			}},
			Attributes: []schema.Attribute{
				{Name: "name", Type: "string"},
				{Name: "image", Type: "string"},
				{Name: "state", Type: "string", Enum: []string{"created", "running", "paused", "exited"}},
				{Name: "zone", Type: "string"},
				{Name: "labels", Type: "map(string)"},
				{Name: "networks", Type: "list(string)"},
				{Name: "restarts", Type: "number"},
				{Name: "health_checked", Type: "bool"},
			},
		}},
	},
	"process": {
		Format: 1, Name: "process", Version: "0.1.0",
		Faults: []schema.Fault{
			{
				Type: "process_kill",
				Config: schema.Body{
					Attributes: []schema.Attribute{
						{Name: "signal", Type: "string", Default: "SIGKILL"},
					},
					Blocks: []schema.Block{{Name: "restart", Max: 1, Body: schema.Body{Attributes: []schema.Attribute{
						{Name: "command", Type: "list(string)"},
						{Name: "supervisor", Type: "bool"},
						{Name: "output", Type: "string"},
						{Name: "user", Type: "string"},
						{Name: "environment", Type: "list(string)"},
					}}}},
				},
				Accepts: []schema.Accept{{Interface: "process", Attributes: []string{"pid"}}}, Reversibility: schema.Reversible,
			},
			{Type: "process_pause", Accepts: []schema.Accept{{Interface: "process"}}, Reversibility: schema.Reversible},
		},
		Targets: []schema.Target{{
			Type: "process", Interfaces: []string{"process"},
			Match: schema.Body{Attributes: []schema.Attribute{
				{Name: "name", Type: "string"},
				{Name: "command", Type: "string"},
				{Name: "user", Type: "string"},
				{Name: "parent", Type: "number"},
				{Name: "pid_file", Type: "string"},
			}},
			Attributes: []schema.Attribute{{Name: "pid", Type: "number"}, {Name: "command", Type: "string"}, {Name: "user", Type: "string"}},
		}},
	},
	"http": {
		Format: 1, Name: "http", Version: "0.1.0",
		Probes: []schema.Probe{{
			Type: "http",
			Config: schema.Body{
				Attributes: []schema.Attribute{
					{Name: "url", Type: "string", Required: true, Doc: "what is asked for"},
					{Name: "method", Type: "string", Default: "GET", Enum: []string{"GET", "HEAD", "POST", "PUT", "DELETE"}},
					{Name: "headers", Type: "map(string)"},
					{Name: "body", Type: "string"},
					{Name: "expect_status", Type: "list(number)"},
					{Name: "connections", Type: "number", Min: number(1), Max: number(1000)},
					{Name: "sample_share", Type: "number", Min: number(0), Max: number(1)},
					{Name: "error_percent", Type: "number"},
					{Name: "warm_up", Type: "duration", Min: number(0.1), Max: number(60)},
					{Name: "follow", Type: "bool", Default: false},
				},
				Blocks: []schema.Block{
					{Name: "tls", Max: 1, Body: schema.Body{Attributes: []schema.Attribute{
						{Name: "ca_file", Type: "string"},
						{Name: "skip_verify", Type: "bool", Default: false},
						{Name: "key", Type: "string", Sensitive: true},
					}}},
					{Name: "form", Body: schema.Body{Attributes: []schema.Attribute{
						{Name: "field", Type: "string", Required: true},
						{Name: "value", Type: "string"},
					}}},
				},
			},
			Sample: []schema.Attribute{
				{Name: "status", Type: "number"},
				{Name: "body", Type: "string"},
				{Name: "reused", Type: "bool"},
				{Name: "protocol", Type: "string", Enum: []string{"http/1.1", "h2"}},
			},
		}},
	},
	"tcp": {
		Format: 1, Name: "tcp", Version: "0.1.0",
		Probes: []schema.Probe{{Type: "tcp", Config: schema.Body{Attributes: []schema.Attribute{{Name: "address", Type: "string", Required: true}}}}},
	},
	"prometheus": {
		Format: 1, Name: "prometheus", Version: "0.1.0",
		Probes: []schema.Probe{{Type: "prometheus", Config: schema.Body{Attributes: []schema.Attribute{
			{Name: "address", Type: "string", Required: true},
			{Name: "query", Type: "string", Required: true},
		}}}},
	},
	"exec": {
		Format: 1, Name: "exec", Version: "0.1.0",
		Probes: []schema.Probe{{
			Type:   "exec",
			Config: schema.Body{Attributes: []schema.Attribute{{Name: "command", Type: "list(string)", Required: true}}},
			Sample: []schema.Attribute{{Name: "exit", Type: "number"}, {Name: "output", Type: "string"}},
		}},
		Actions: []schema.Action{{
			Type:   "exec",
			Config: schema.Body{Attributes: []schema.Attribute{{Name: "command", Type: "list(string)", Required: true}, {Name: "environment", Type: "map(string)"}}},
		}},
	},
	"net": {
		Format: 1, Name: "net", Version: "0.1.0",
		Faults: []schema.Fault{{
			Type: "net_delay", Reversibility: schema.Reversible,
			Config: schema.Body{Attributes: []schema.Attribute{
				{Name: "delay", Type: "duration", Required: true, Doc: "how much later a packet leaves"},
				{Name: "jitter", Type: "duration"},
				{Name: "percent", Type: "number"},
			}},
			Accepts: []schema.Accept{{Interface: "netns"}},
		}},
	},
	"rich": {
		Format: 1, Name: "rich", Version: "0.1.0",
		Probes: []schema.Probe{{Type: "rich", Config: schema.Body{
			Attributes: []schema.Attribute{
				{Name: "size", Type: "size", Min: number(1024), Max: number(1 << 30)},
				{Name: "share", Type: "amount"},
				{Name: "speed", Type: "rate", Max: number(1e9)},
				{Name: "waits", Type: "list(duration)", Max: number(60), MinItems: 1, MaxItems: 3},
				{Name: "ports", Type: "list(number)", Min: number(1), Max: number(65535), Whole: true},
				{Name: "counts", Type: "map(number)", Min: number(0)},
				{Name: "loss", Type: "number", Unit: "percent"},
				{Name: "chance", Type: "number", Unit: "ratio"},
				{Name: "free", Type: "number", Unit: "files", Whole: true, Min: number(0), Max: number(100)},
				{Name: "zone", Type: "string", Pattern: "[a-z]+-[0-9]", Doc: "Name of the zone.", Example: "eu-1"},
				{Name: "address", Type: "string", Required: true, Doc: "Where it is.", Example: "db:5432"},
				{Name: "cert", Type: "string"},
				{Name: "key", Type: "string"},
				{Name: "region", Type: "string", Deprecated: "use zone, which has the region in it."},
				{Name: "on", Type: "bool"},
			},
			Blocks: []schema.Block{
				{Name: "listener", Label: "NAME", Max: 2, Body: schema.Body{Attributes: []schema.Attribute{{Name: "listen", Type: "string", Required: true}, {Name: "tags", Type: "map(string)"}}}},
				{Name: "step", Body: schema.Body{
					Attributes: []schema.Attribute{{Name: "wait", Type: "duration"}},
					Blocks:     []schema.Block{{Name: "deep", Min: 1, Max: 1, Body: schema.Body{Attributes: []schema.Attribute{{Name: "words", Type: "list(string)", Enum: []string{"up", "down"}}}}}},
				}},
			},
			Rules: []schema.Rule{
				{Kind: schema.ExactlyOne, Of: []string{"size", "share", "step"}},
				{Kind: schema.Together, Of: []string{"cert", "key"}},
			},
		}}},
	},
	"demanding": {
		Format: 1, Name: "demanding", Version: "0.1.0",
		Settings: schema.Body{Attributes: []schema.Attribute{{Name: "endpoint", Type: "string", Required: true}}},
		Probes:   []schema.Probe{{Type: "demanding"}},
	},
}

func dockerFault(typ string, config schema.Body) schema.Fault {
	return schema.Fault{
		Type: typ, Config: config, Hold: schema.HoldJournal, Reversibility: schema.Reversible,
		Accepts: []schema.Accept{{Interface: "container"}}, RevertMS: 1000, Concurrency: 4,
	}
}

var asked atomic.Int64

func describe(name string) (*schema.Description, error) {
	asked.Add(1)
	if d := descriptions[name]; d != nil {
		return d, nil
	}
	if name == "empty" {
		return nil, errors.New("the plugin crashed at start")
	}
	return nil, fmt.Errorf("there is no file faultline-plugin-%s in the plugin folders", name)
}
