package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// prometheus is a real server with its own configuration, data and port, which
// scrapes an exporter of the test.
type prometheus struct {
	url  string
	stop func()
}

func startPrometheus(t *testing.T) prometheus {
	t.Helper()
	var program string
	plugintest.Need(t, "prometheus", func() (err error) {
		program, err = exec.LookPath("prometheus")
		return err
	})
	exporter := httptest.NewServer(http.HandlerFunc(export))
	t.Cleanup(exporter.Close)
	dir := t.TempDir()
	settings := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n- job_name: test\n  static_configs: [{targets: [%q]}]\n",
		strings.TrimPrefix(exporter.URL, "http://"))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 3 { // another process may take the port before Prometheus does
		if p, ok := tryPrometheus(t, program, file, dir, freeAddress(t)); ok {
			return p
		}
	}
	t.Fatal("prometheus does not start")
	panic("not reached")
}

func tryPrometheus(t *testing.T, program, file, dir, address string) (prometheus, bool) {
	t.Helper()
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	logs, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	cmd.Stderr = logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	p := prometheus{url: "http://" + address, stop: func() { cmd.Process.Kill(); <-ended }}
	t.Cleanup(p.stop)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(enough); time.Now().Before(deadline); <-tick.C {
		select {
		case <-ended:
			text, _ := os.ReadFile(logs.Name())
			t.Logf("prometheus ended: %s", text)
			return p, false
		default:
		}
		if answer, err := http.Get(p.url + "/-/ready"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return p, true
			}
		}
	}
	t.Fatal("prometheus is not ready in time")
	panic("not reached")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// oldAge is how old test_old is, whenever it is scraped.
const oldAge = 90 * time.Second

var exporterStart = time.Now()

// export is what an instrumented program shows. A sample with a time of its own gets
// no end mark when it stops changing: that is how stale data looks.
func export(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprint(w, "test_value 0.25\ntest_zero 0\ntest_many{n=\"1\"} 1\ntest_many{n=\"2\"} 2\ntest_nan NaN\ntest_inf +Inf\n")
	fmt.Fprintf(w, "test_old 7 %d\n", exporterStart.Add(-oldAge).UnixMilli())
}
