package main

import (
	"net/http"
	"slices"
	"syscall"
	"testing"
)

// calm keeps the gateway and the web processes from giving up on somebody who is only
// slow, on a busy machine.
var calm = struct{ gateway, web []string }{
	[]string{"-connect-timeout", patience.String(), "-attempt-timeout", patience.String()},
	[]string{"-store-timeout", patience.String()},
}

// system is a whole shop of processes.
type system struct {
	store   *child
	webs    []*child
	gateway *child
}

func startSystem(t *testing.T, gatewayFlags ...string) system {
	t.Helper()
	return startWith(t, calm.web, append(slices.Clone(calm.gateway), gatewayFlags...))
}

func startWith(t *testing.T, webFlags, gatewayFlags []string) system {
	t.Helper()
	s := system{store: start(t, "store")}
	backends := ""
	for _, name := range []string{"web1", "web2", "web3"} {
		web := start(t, append([]string{"web", "-name", name, "-store", "http://" + s.store.address}, webFlags...)...)
		s.webs = append(s.webs, web)
		backends += web.address + ","
	}
	s.gateway = start(t, append([]string{"gateway", "-backends", backends}, gatewayFlags...)...)
	return s
}

// statuses sends n checkouts and counts the answers by status.
func (s system) statuses(t *testing.T, n int) map[int]int {
	t.Helper()
	count := map[int]int{}
	for range n {
		status, _ := get[map[string]any](t, "http://"+s.gateway.address+"/checkout")
		count[status]++
	}
	return count
}

func TestCheckoutGoesRoundTheWebProcesses(t *testing.T) {
	s := startSystem(t)
	instances := map[string]int{}
	for n := range 9 {
		status, sold := get[sale](t, "http://"+s.gateway.address+"/checkout?item=cup")
		if status != http.StatusOK || sold.Item != "cup" || sold.Order != int64(n+1) || sold.Left != int64(fullStock-n-1) {
			t.Errorf("checkout %d: status %d, %+v", n, status, sold)
		}
		instances[sold.Instance]++
	}
	for _, name := range []string{"web1", "web2", "web3"} {
		if instances[name] != 3 {
			t.Errorf("answers by instance: %v, want 3 of each", instances)
		}
	}
}

func TestDeadWebProcessWithRetryIsNotNoticed(t *testing.T) {
	s := startSystem(t, "-retry=true")
	s.statuses(t, 3) // every connection is open when the process dies
	kill(t, s.webs[0])
	if got := s.statuses(t, 30); got[http.StatusOK] != 30 {
		t.Errorf("answers by status: %v, want 30 of 200", got)
	}
}

func TestDeadWebProcessWithoutRetryLosesItsShare(t *testing.T) {
	s := startSystem(t, "-retry=false")
	s.statuses(t, 3)
	kill(t, s.webs[0])
	if got := s.statuses(t, 30); got[http.StatusOK] != 20 || got[http.StatusBadGateway] != 10 {
		t.Errorf("answers by status: %v, want 20 of 200 and 10 of 502", got)
	}

	again := start(t, append([]string{"web", "-name", "web1", "-listen", s.webs[0].address, "-store", "http://" + s.store.address}, calm.web...)...)
	if got := s.statuses(t, 30); got[http.StatusOK] != 30 {
		t.Errorf("after %s is back, answers by status: %v, want 30 of 200", again.address, got)
	}
}

func TestFrozenWebProcessCostsOneAttempt(t *testing.T) {
	s := startSystem(t, "-attempt-timeout", "2s")
	if err := s.webs[1].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The two that live answer long before.
	if got := s.statuses(t, 6); got[http.StatusOK] != 6 {
		t.Errorf("answers by status: %v, want 6 of 200", got)
	}
}

func TestFrozenStoreIsAnHonest503(t *testing.T) {
	s := startWith(t, []string{"-store-timeout", "2s"}, calm.gateway)
	if err := s.store.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if got := s.statuses(t, 2); got[http.StatusServiceUnavailable] != 2 {
		t.Errorf("answers by status: %v, want 2 of 503", got)
	}
	if err := s.store.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := s.statuses(t, 3); got[http.StatusOK] != 3 {
		t.Errorf("after the store went on, answers by status: %v, want 3 of 200", got)
	}
}

func TestHealthAsksNobodyElse(t *testing.T) {
	web := start(t, "web", "-name", "alone", "-store", "http://127.0.0.1:1")
	status, body := get[map[string]string](t, "http://"+web.address+"/healthz")
	if status != http.StatusOK || body["instance"] != "alone" {
		t.Errorf("healthz: %d %v", status, body)
	}
	if status, body := get[failure](t, "http://"+web.address+"/checkout"); status != http.StatusServiceUnavailable || body.Error == "" {
		t.Errorf("checkout without a store: %d %+v", status, body)
	}
}

func kill(t *testing.T, c *child) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.gone(t)
}
