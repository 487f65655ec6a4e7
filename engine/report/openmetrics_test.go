package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

func odd() *judge.Result {
	r := everything()
	r.Run.Scenario.Name = "a \"name\" with \\ and\nmore \xff"
	return r
}

// Readers of the older text format, such as node_exporter's textfile collector, take
// the file, and no series is there twice.
func TestOpenMetricsIsPrometheusTextToo(t *testing.T) {
	for name, r := range map[string]*judge.Result{"openmetrics": everything(), "": odd()} {
		got := write(t, func(w io.Writer) error { return OpenMetrics(w, r) })
		if name != "" {
			golden(t, name, got)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(got))
		if err != nil {
			t.Fatalf("%v in\n%s", err, got)
		}
		seen := map[string]bool{}
		for _, l := range strings.Split(strings.TrimSuffix(string(got), "\n"), "\n") {
			if strings.HasPrefix(l, "#") {
				continue
			}
			series := l[:strings.LastIndexByte(l, ' ')]
			if seen[series] {
				t.Errorf("twice: %s", series)
			}
			seen[series] = true
			if n := families[series[:strings.IndexByte(series, '{')]]; n == nil || n.Help == nil || n.Type.String() != "GAUGE" {
				t.Errorf("%s is %v", series, n)
			}
		}
		if !bytes.HasSuffix(got, []byte("\n# EOF\n")) {
			t.Error("no end")
		}
		set := 0.0
		for _, m := range families["faultline_run_verdict"].Metric {
			set += m.Gauge.GetValue()
		}
		if set != 1 {
			t.Errorf("%g verdicts at once", set)
		}
	}
	if err := OpenMetrics(failing{}, everything()); err == nil {
		t.Error("a full disk is no error")
	}
}

// A real Prometheus reads the file by its parser of OpenMetrics, which is strict.
func TestPrometheusReadsOpenMetrics(t *testing.T) {
	var program string
	plugintest.Need(t, "prometheus", func() (err error) {
		program, err = exec.LookPath("prometheus")
		return err
	})
	page := func(r *judge.Result) http.HandlerFunc {
		text := write(t, func(w io.Writer) error { return OpenMetrics(w, r) })
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
			_, _ = w.Write(text)
		}
	}
	pages := http.NewServeMux()
	pages.HandleFunc("/everything", page(everything()))
	pages.HandleFunc("/odd", page(odd()))
	pages.HandleFunc("/nothing", page(&judge.Result{}))
	pages.HandleFunc("/wrong", func(w http.ResponseWriter, _ *http.Request) { // the test could fail
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		fmt.Fprint(w, "# TYPE faultline_x gauge\nfaultline_x 1\n")
	})
	server := httptest.NewServer(pages)
	defer server.Close()
	dir := t.TempDir()
	settings := "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
	for _, job := range []string{"everything", "odd", "nothing", "wrong"} {
		settings += fmt.Sprintf("- job_name: %s\n  metrics_path: /%s\n  static_configs: [{targets: [%q]}]\n", job, job, strings.TrimPrefix(server.URL, "http://"))
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var logs bytes.Buffer
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stderr = &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(logs.String())
		}
	}()

	ask := func(query string) map[string]string {
		answer, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return nil
		}
		defer answer.Body.Close()
		var a struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		if json.NewDecoder(answer.Body).Decode(&a) != nil {
			return nil
		}
		out := map[string]string{}
		for _, r := range a.Data.Result {
			out[r.Metric["job"]] = fmt.Sprint(r.Value[1])
		}
		return out
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		// What was scraped wrongly is up for a while in no case.
		if up := ask("max_over_time(up[1m])"); len(up) == 4 && up["everything"]+up["odd"]+up["nothing"] == "111" {
			if up["wrong"] != "0" {
				t.Errorf("a file without an end is fine: %v", up)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not scraped: %v", ask("up"))
		}
	}
	for query, want := range map[string]string{
		"faultline_run_exit_code":                  "5",
		`faultline_run_verdict{verdict="residue"}`: "1",
		`faultline_objective_samples{experiment="lose-one-web",phase="during",outcome="good"}`:                                   "1204",
		`faultline_experiment_recover_seconds{experiment="lose-two-web-containers-and-pause-the-store",bound="min"}`:             "39.8",
		`faultline_fault_active_seconds{experiment="lose-one-web"}`:                                                              "20",
		`faultline_latency_seconds{experiment="lose-one-web",phase="during",q="0.99"}`:                                           "1.5",
		`count(faultline_objective_verdict{experiment="lose-one-web"}) by (job)`:                                                 "6",
		`faultline_run_end_timestamp_seconds - faultline_run_start_timestamp_seconds`:                                            "50",
		`sum(faultline_experiment_verdict) by (job)`:                                                                             "7",
		`faultline_objective_bad_ratio{experiment="lose-one-web",phase="during",bound="high"} < bool 0.0025 and on(job) (up==1)`: "1",
	} {
		if got := ask(query)["everything"]; got != want {
			t.Errorf("%s is %q, not %q", query, got, want)
		}
	}
	if got := ask(`faultline_run_residue{scenario=~"a .name. with . and more ."}`); got["odd"] != "1" {
		t.Errorf("a scenario with an odd name: %v", got)
	}
}

// Prometheus' own check of names, helps and labels has nothing to say.
func TestPromtoolChecksOpenMetrics(t *testing.T) {
	var program string
	plugintest.Need(t, "prometheus", func() (err error) {
		program, err = exec.LookPath("promtool")
		return err
	})
	for _, r := range []*judge.Result{everything(), odd(), result(held())} {
		cmd := exec.Command(program, "check", "metrics")
		cmd.Stdin = bytes.NewReader(write(t, func(w io.Writer) error { return OpenMetrics(w, r) }))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	}
}
