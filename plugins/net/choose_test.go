//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Every mistake in a fault's body is found before anything is touched, and explained.
func TestMistakesAreExplained(t *testing.T) {
	p := nettest.NewPair(t)
	w := newWires()
	target := w.add(t, p)
	client := plugintest.Client(t, plugin())
	for _, c := range []struct{ typ, config, says string }{
		{"net_partition", `{"to":["10.0.0.0/99"]}`, "is no network"},
		{"net_partition", `{"to":["a b"]}`, "no address, network or host name"},
		{"net_partition", `{"ports":["http"]}`, "no port"},
		{"net_partition", `{"ports":["90-80"]}`, "no port"},
		{"net_partition", `{"ports":["80"],"protocol":"icmp"}`, "icmp has none"},
		{"net_partition", `{"percent":0.00001}`, "no packet at all"},
		{"net_partition", `{"interface":"eth7"}`, "the target is the interface wire0 itself"},
		{"net_partition", `{"to":["192.0.2.1"]}`, "no route there"},
		{"net_partition", `{"to":["127.0.0.1"]}`, "does not carry the traffic"},
		{"net_blackhole_port", `{}`, "say which"},
		{"net_loss", `{}`, "which share"},
		{"net_loss", `{"percent":10,"to_bad_percent":1}`, "belong to model"},
		{"net_loss", `{"model":"gilbert-elliott"}`, "needs to_bad_percent"},
		{"net_delay", `{"delay":"10ms","jitter":"20ms"}`, "more than the delay"},
		{"net_delay", `{"delay":"10ms","distribution":"normal"}`, "there is none"},
		{"net_bandwidth", `{"rate":"fast"}`, "write a number and a unit"},
		{"net_bandwidth", `{"rate":"10"}`, "has no unit"},
		{"net_bandwidth", `{"rate":"1bit"}`, "below the minimum, 800bit"},
		{"net_bandwidth", `{"rate":"1mbit","burst":"100b"}`, "below the minimum, 1600B"},
		{"net_dns", `{"names":["*"],"answer":"wrong"}`, "needs the addresses"},
		{"net_dns", `{"names":["*"],"answer":"timeout","addresses":["10.0.0.1"]}`, "belong to answer"},
		{"net_dns", `{"names":["a/b"],"answer":"timeout"}`, "is no name"},
	} {
		all, err := client.Prepare(t.Context(), wire.Prepare{Type: c.typ, Config: json.RawMessage(c.config), Targets: []schema.Candidate{target}})
		said := ""
		switch {
		case err != nil:
			said = err.Error()
		case len(all) == 1:
			said = all[0].Err
		}
		if !strings.Contains(said, c.says) {
			t.Errorf("%s %s: %q, want %q in it", c.typ, c.config, said, c.says)
		}
	}
	if err := p.Here.Do(func() error {
		link, err := netlink.LinkByName(nettest.Device)
		return errors.Join(err, netlink.LinkSetDown(link))
	}); err != nil {
		t.Fatal(err)
	}
	all, err := client.Prepare(t.Context(), wire.Prepare{Type: "net_bandwidth", Config: json.RawMessage(`{"rate":"1mbit"}`), Targets: []schema.Candidate{target}})
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Err, "is down") {
		t.Errorf("an interface that is down: %+v, %v", all, err)
	}
}

func TestDirectionFollowsThePeers(t *testing.T) {
	for _, c := range []struct {
		to, from []string
		asked    string
		want     impair.Direction
	}{
		{nil, nil, "", "both"},
		{nil, nil, "in", "in"},
		{[]string{"a"}, nil, "", "out"},
		{nil, []string{"a"}, "", "in"},
		{[]string{"a"}, []string{"a"}, "", "both"},
		{[]string{"a"}, nil, "both", "both"},
	} {
		if got := (choice{To: c.to, From: c.from}).way(c.asked, "both"); got != c.want {
			t.Errorf("to %v, from %v, direction %q: %s, want %s", c.to, c.from, c.asked, got, c.want)
		}
	}
}

func TestPeersAreFoundAsTheTargetKnowsThem(t *testing.T) {
	known := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "db" {
			return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.5"), netip.MustParseAddr("fe80::1%eth0")}, nil
		}
		return nil, errors.New("unknown")
	}
	got, err := peers(t.Context(), []string{"10.1.2.3/8", "192.0.2.7", "db"}, known)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, p := range got {
		texts = append(texts, p.String())
	}
	if want := "10.0.0.0/8 192.0.2.7/32 10.0.0.5/32 fe80::1/128"; strings.Join(texts, " ") != want {
		t.Errorf("%v, want %s", texts, want)
	}
	if _, err := peers(t.Context(), []string{"web"}, known); err == nil {
		t.Error("a host that nobody knows was taken")
	}
}

func TestHostsAndNameServers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hosts := write("hosts", "# comment\n10.0.0.1 db DB2 # db3\n\nnonsense db\n::1 db\n")
	if got := hold.Hosts(hosts, "db"); len(got) != 2 {
		t.Errorf("addresses of db: %v", got)
	}
	if got := hold.Hosts(hosts, "db3"); got != nil {
		t.Errorf("addresses from a comment: %v", got)
	}
	if got := hold.NameServers(write("resolv.conf", "search x\nnameserver 10.0.0.2\nnameserver\nnameserver ::1\n")); len(got) != 2 {
		t.Errorf("name servers: %v", got)
	}
	if got := hold.NameServers(filepath.Join(dir, "none")); got != nil {
		t.Errorf("name servers of a file that is not there: %v", got)
	}
}
