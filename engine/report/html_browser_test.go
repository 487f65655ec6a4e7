package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/faultline-go/faultline/engine/judge"
)

const (
	shop  = `.lane[data-probe="0"][data-kind="share"]`
	slow  = `.lane[data-probe="0"][data-kind="latency"]`
	queue = `.lane[data-probe="1"][data-objective="0"]`
	value = `.lane[data-probe="1"][data-kind="value"]`
)

// What is drawn is where the data is: in the browser's own geometry, and in pixels.
func TestBrowserChartsAgreeWithTheData(t *testing.T) {
	b := openInBrowser(t, drawn())
	share := func(second float64) float64 { return (second - 0.25) / 59.75 }
	const tolerance = 0.003
	for _, tc := range []struct {
		what, selector, within string
		from, to               float64
		bottom                 float64 // in shares of the lane; 0: not looked at
	}{
		{"the shop's bad seconds", shop + " path.bad", shop + " svg", 21, 24, 0.96},
		{"the shop's seconds with more bad than allowed", shop + " path.over", shop + " svg", 21, 24, 0.96},
		{"the queue's bad seconds", queue + " path.bad", queue + " svg", 22, 28, 0.96},
		{"the shop's second without data", shop + " path.none", shop + " svg", 50, 51, 1},
		{"the first fault", ".fault", ".stage", 20, 40, 0},
		{"the baseline", ".phases li", ".stage", 0.25, 20, 0},
		{"the shade", ".shade", ".stage", 20, 40, 0},
	} {
		got := b.boxOf(tc.selector, tc.within)
		b.near(tc.what+"' left edge", got.Left, share(tc.from), tolerance)
		b.near(tc.what+"' right edge", got.Right, share(tc.to), tolerance)
		if tc.bottom > 0 {
			b.near(tc.what+"' lower edge", got.Bottom, tc.bottom, 0.02)
		}
	}
	// The target of checkout.available while the fault is on is 95 %, on a scale from
	// 50 % to 100 %.
	b.near("the target", b.boxOf(shop+` path.target[d^="M19750 "]`, shop+" svg").Top, 0.04+0.92*0.1, 0.02)
	// 250 ms on a logarithmic scale from 10 ms to 1 s.
	median := b.boxOf(slow+" path.median", slow+" svg")
	b.near("the highest median", median.Top, 0.04+0.92*(1-math.Log10(25)/2), 0.02)
	b.near("the lowest median", median.Bottom, 0.96, 0.02)
	// The limit of 100 on a scale from 0 to 150.
	b.near("the limit", b.boxOf(value+" path.target", value+" svg").Top, 0.04+0.92/3, 0.02)
	// The value of 150 on a scale from 0 to 150.
	b.near("the highest value", b.boxOf(value+" path.median", value+" svg").Top, 0.04, 0.02)

	raw, err := chromedp.Run(b.ctx, chromedp.Screenshot(chromedp.CSS(shop+" .plot")))
	b.must(err)
	img, err := png.Decode(bytes.NewReader(raw))
	b.must(err)
	red := func(second, height float64) bool {
		size := img.Bounds()
		r, g, _, _ := img.At(size.Min.X+int(float64(size.Dx())*share(second)), size.Min.Y+int(float64(size.Dy())*height)).RGBA()
		return r > g+0x4000
	}
	for _, tc := range []struct {
		second, height float64
		want           bool
	}{{22.5, 0.8, true}, {22.5, 0.6, true}, {20.5, 0.5, false}, {24.5, 0.5, false}, {10, 0.8, false}, {22.5, 0.99, false}} {
		if got := red(tc.second, tc.height); got != tc.want {
			t.Errorf("the picture at %.1f s, %.0f %% from the top is red: %v", tc.second, tc.height*100, got)
		}
	}
	b.quiet()
}

func TestBrowserReadsByKeyboard(t *testing.T) {
	b := openInBrowser(t, drawn())
	eval[bool](b, `document.querySelector(".grip").focus(), true`)
	reads := func() map[string]string {
		out := map[string]string{"said": eval[string](b, `document.querySelector(".grip").getAttribute("aria-valuetext")`)}
		for name, lane := range map[string]string{"shop": shop, "slow": slow, "queue": queue, "value": value} {
			out[name] = eval[string](b, fmt.Sprintf(`document.querySelector(%q).textContent`, lane+" .read"))
		}
		return out
	}
	steps := func(n int) map[string]string {
		for range n {
			b.press(kb.ArrowRight)
		}
		return reads()
	}
	check := func(where string, got map[string]string, want map[string]string) {
		t.Helper()
		for k, w := range want {
			if got[k] != w && (k != "said" || !strings.Contains(got[k], w)) {
				t.Errorf("%s: %s reads %q, want %q", where, k, got[k], w)
			}
		}
	}
	b.press(kb.Home)
	check("at the beginning", reads(), map[string]string{"shop": "100 % good, 0 bad of 50", "slow": "median 10 ms, slowest 100 ms", "queue": "100 % good, 0 bad of 1", "value": "40", "said": "0 s to 0.75 s, baseline"})
	check("at 21", steps(21), map[string]string{"shop": "50 % good, 25 bad of 50", "slow": "median 250 ms, slowest 900 ms", "queue": "100 % good, 0 bad of 1", "value": "61",
		"said": "20.75 s to 21.75 s, during, cut short; docker_kill.web at web1 and web2 on; http.checkout: 50 % good, 25 bad of 50"})
	check("at 22", steps(1), map[string]string{"queue": "0 % good, 1 bad of 1", "value": "150"})
	check("at 30", steps(8), map[string]string{"shop": "100 % good, 0 bad of 45, 5 missing", "said": "docker_pause.store at store on"})
	b.press(kb.PageUp + kb.PageUp)
	check("at 50", reads(), map[string]string{"shop": "no samples, 50 missing", "slow": "no latency", "said": "after"})
	b.press(kb.End)
	check("at the end", reads(), map[string]string{"shop": "100 % good, 0 bad of 50", "value": "99"})
	b.press(kb.Escape)
	check("nowhere", reads(), map[string]string{"shop": "75 bad of 2,945, 55 missing", "said": "no moment chosen"})
	b.quiet()
}

// The script draws as the engine has drawn, and zooming comes back to the same.
func TestBrowserZooms(t *testing.T) {
	r := drawn()
	b := openInBrowser(t, r)
	const paths = `[...document.querySelectorAll(".lane path")].map(p => p.getAttribute("class") + " " + p.getAttribute("d"))`
	var want []string
	c := experimentChart(r, 0, binsFor(r))
	for _, l := range c.Lanes {
		for _, g := range l.Grid {
			want = append(want, fmt.Sprintf("grid M0 %dH%d", g.Y, c.Len))
		}
		for _, p := range l.Paths {
			want = append(want, p.Class+" "+p.D)
		}
		for _, x := range l.Targets {
			want = append(want, fmt.Sprintf("%s M%d %dH%d", x.Class(), x.A, x.Y, x.B))
		}
	}
	if got := eval[[]string](b, paths); !slices.Equal(got, want) {
		t.Errorf("the script draws otherwise than the engine:\n%q\n%q", got, want)
	}
	// A drag from 20 to 30 seconds.
	g := eval[map[string]float64](b, `(() => { const g = document.querySelector(".grip"); g.scrollIntoView({ block: "center", behavior: "instant" }); return g.getBoundingClientRect().toJSON() })()`)
	x := func(second float64) float64 { return g["left"] + g["width"]*(second-0.25)/59.75 }
	y := g["top"] + g["height"]/2
	b.must(chromedp.Do(b.ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x(20), y), chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, x(20), y, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x(30), y, chromedp.ButtonLeft), chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x(30), y, chromedp.ButtonLeft)))
	b.frame()
	view := strings.Fields(eval[string](b, `document.querySelector(".lane svg").getAttribute("viewBox")`))
	left, _ := strconv.ParseFloat(view[0], 64)
	span, _ := strconv.ParseFloat(view[2], 64)
	b.near("the view's begin", left, 19_750, 80)
	b.near("the view's length", span, 10_000, 160)
	b.near("the bad seconds' left edge", b.boxOf(shop+" path.bad", shop+" svg").Left, (20_750-left)/span, 0.01)
	b.near("the bad seconds' right edge", b.boxOf(shop+" path.bad", shop+" svg").Right, (23_750-left)/span, 0.01)
	b.picture("zoomed")
	if d := eval[bool](b, `document.querySelector('[data-do="out"]').disabled`); d {
		t.Error("one cannot zoom out")
	}
	b.click(`[data-do="all"]`)
	b.frame()
	if got := eval[[]string](b, paths); !slices.Equal(got, want) {
		t.Errorf("after zooming the whole is another:\n%q\n%q", got, want)
	}
	b.quiet()
}

func TestBrowserToggles(t *testing.T) {
	b := openInBrowser(t, drawn())
	visible := func() []string {
		return eval[[]string](b, `[...document.querySelectorAll(".lane")].filter(l => l.getClientRects().length > 0).map(l => l.dataset.probe + l.dataset.kind + l.dataset.objective)`)
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := visible(); !slices.Equal(got, want) {
			t.Errorf("%s: lanes %v, want %v", when, got, want)
		}
	}
	check("at first", "0share-1", "0latency-1", "1share-1", "1share0", "1value-1", "1latency-1", "2share-1", "2latency-1")
	b.click(`.tools input[data-kind="latency"]`)
	check("without latency", "0share-1", "1share-1", "1share0", "1value-1", "2share-1")
	b.click(`.tools input[data-probe="prometheus.queue"]`)
	check("without the queue", "0share-1", "2share-1")
	eval[bool](b, `document.querySelector('.tools input[data-kind="latency"]').focus(), true`)
	b.press(" ")
	check("with latency, by keyboard", "0share-1", "0latency-1", "2share-1", "2latency-1")
	b.quiet()
}

func TestBrowserSavesData(t *testing.T) {
	r := drawn()
	b := openInBrowser(t, r)
	dir := t.TempDir()
	on := true
	b.call(func() error {
		_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, EventsEnabled: &on})
		return err
	})
	saved := func(button, name string) []byte {
		t.Helper()
		limit, stop := context.WithTimeout(b.ctx, 30*time.Second)
		defer stop()
		done := make(chan struct{})
		var once sync.Once
		b.must(chromedp.ListenBrowser(limit, func(event any) {
			if p, ok := event.(*browser.EventDownloadProgress); ok && p.State == browser.DownloadProgressStateCompleted {
				once.Do(func() { close(done) })
			}
		}))
		b.click(button)
		select {
		case <-done:
		case <-limit.Done():
			t.Fatalf("%s saves nothing", button)
		}
		raw, err := os.ReadFile(filepath.Join(dir, name))
		b.must(err)
		return raw
	}
	var back judge.Result
	b.must(json.Unmarshal(saved("#save-json", "faultline-"+r.Run.ID+".json"), &back))
	want, err := json.Marshal(r)
	b.must(err)
	var same judge.Result
	b.must(json.Unmarshal(want, &same))
	if !reflect.DeepEqual(back, same) {
		t.Error("the saved JSON is another report")
	}
	rows, err := csv.NewReader(bytes.NewReader(saved("#save-csv", "faultline-"+r.Run.ID+".csv"))).ReadAll()
	b.must(err)
	if len(rows) != 1+3*60 {
		t.Fatalf("%d lines of CSV, want %d", len(rows), 1+3*60)
	}
	sum := make(map[string][3]int)
	for _, row := range rows[1:] {
		s := sum[row[2]]
		for i := range s {
			n, err := strconv.Atoi(row[3+i])
			b.must(err)
			s[i] += n
		}
		sum[row[2]] = s
	}
	for _, p := range r.Probes {
		if got, want := sum[p.Probe], [3]int{p.Samples - p.Failed - p.Missing, p.Failed, p.Missing}; got != want {
			t.Errorf("%s: the CSV has %v, want %v", p.Probe, got, want)
		}
	}
	if got, want := rows[1+22], []string{"2026-11-02T09:00:22.000Z", "1", "http.checkout", "25", "25", "0", "0.25", "0.9", ""}; !slices.Equal(got, want) {
		t.Errorf("a line is %q, want %q", got, want)
	}
	if got := rows[1+60+22][8]; got != "150" {
		t.Errorf("the value is %q", got)
	}
	b.quiet()
}

// contrasts lists the texts whose colour is too near to what is behind them, by the
// rules of WCAG 2 at level AA.
const contrasts = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
	const light = (c) => { const f = c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > .95) return c; } return [255, 255, 255, 1]; };
	const out = [];
	for (const e of document.querySelectorAll("body *")) {
		if (e.closest("svg, script, noscript, .skip, .hide") || e.disabled || !e.getClientRects().length || getComputedStyle(e).visibility === "hidden") continue;
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
		const s = getComputedStyle(e), a = light(rgba(s.color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), size = parseFloat(s.fontSize);
		if (ratio < (size >= 24 || size >= 18.66 && s.fontWeight >= 700 ? 3 : 4.5)) out.push(ratio.toFixed(2) + " " + e.tagName + "." + e.className + " " + e.textContent.slice(0, 40));
	}
	return [...new Set(out)];
})()`

func TestBrowserLightDarkAndPaper(t *testing.T) {
	r := everything()
	d := drawn()
	r.Experiments = append([]judge.Experiment{d.Experiments[0]}, r.Experiments...)
	r.Probes, r.Run.Sources, r.Run.Duration = d.Probes, d.Run.Sources, 60
	b := openInBrowser(t, r)
	brightness := func() float64 {
		return eval[float64](b, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((a, v) => a + Number(v), 0) / 765`)
	}
	contrast := func(when string) {
		t.Helper()
		for _, c := range eval[[]string](b, contrasts) {
			t.Errorf("%s: contrast %s", when, c)
		}
	}
	b.media("", "light")
	if v := brightness(); v < 0.9 {
		t.Errorf("light is %.2f", v)
	}
	contrast("light")
	b.picture("light")
	b.media("", "dark")
	if v := brightness(); v > 0.2 {
		t.Errorf("dark is %.2f", v)
	}
	contrast("dark")
	b.picture("dark")
	b.click("#theme")
	if v := brightness(); v < 0.9 {
		t.Errorf("dark made light is %.2f", v)
	}
	b.click("#theme")
	if v := brightness(); v > 0.2 {
		t.Errorf("light made dark is %.2f", v)
	}

	b.media("print", "dark")
	if c := eval[string](b, `getComputedStyle(document.documentElement).colorScheme`); c != "light" {
		t.Errorf("paper is %s", c)
	}
	if n := eval[int](b, `[...document.querySelectorAll(".tools, .grip, button, .hint")].filter(e => e.getClientRects().length > 0).length`); n != 0 {
		t.Errorf("%d things on paper that can only be used on a screen", n)
	}
	b.picture("paper")
	b.media("", "light")
	eval[bool](b, `window.opened = 0, addEventListener("afterprint", () => { window.opened = document.querySelectorAll("details:not([open])").length }), dispatchEvent(new Event("beforeprint")), true`)
	if n := eval[int](b, `document.querySelectorAll("details:not([open])").length`); n != 0 {
		t.Errorf("%d parts stay closed on paper", n)
	}
	eval[bool](b, `dispatchEvent(new Event("afterprint")), true`)
	if n := eval[int](b, `window.opened`); n == 0 {
		t.Error("after printing everything stays open")
	}
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	b.must(err)
	b.must(os.WriteFile(filepath.Join(t.ArtifactDir(), "paper.pdf"), pdf, 0o644))
	b.quiet()
}

func TestBrowserNarrow(t *testing.T) {
	b := openInBrowser(t, drawn())
	for _, width := range []int64{320, 360, 768, 1280, 1920} {
		b.size(width, 800)
		if got := eval[int64](b, `Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)`); got > width {
			wide := eval[[]string](b, fmt.Sprintf(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > %d && !e.closest(".scroll, .stage, .source")).map(e => e.tagName + "." + e.className)`, width))
			t.Errorf("at %d px the page is %d px wide: %v", width, got, wide)
		}
		b.picture(fmt.Sprintf("width-%d", width))
	}
	b.quiet()
}

// Everything that can be used or looked at has a name for those who do not see it.
func TestBrowserAccessibility(t *testing.T) {
	r := drawn()
	r.Experiments = append(r.Experiments, held())
	b := openInBrowser(t, r)
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	b.must(err)
	text := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		var s string
		_ = json.Unmarshal(v.Value, &s)
		return s
	}
	count := make(map[string]int)
	named := []string{"button", "checkbox", "slider", "image", "table", "link", "region", "navigation", "columnheader", "rowheader", "figure", "heading", "DisclosureTriangle", "textbox", "combobox"}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		role := text(n.Role)
		if role == "img" {
			role = "image"
		}
		count[role]++
		if slices.Contains(named, role) && strings.TrimSpace(text(n.Name)) == "" {
			t.Errorf("a %s has no name", role)
		}
	}
	lanes := eval[int](b, `document.querySelectorAll(".lane").length`)
	for role, least := range map[string]int{"image": lanes, "slider": 2, "checkbox": 6, "button": 8, "table": 8, "columnheader": 30, "main": 1, "banner": 1, "contentinfo": 1, "navigation": 1, "link": 5, "figure": 2} {
		if count[role] < least {
			t.Errorf("%d of role %s, want at least %d", count[role], role, least)
		}
	}
	if lanes < 10 {
		t.Errorf("only %d lanes", lanes)
	}
	// Whatever the tab key reaches is seen to have the focus.
	seen := 0
	for range 60 {
		b.press(kb.Tab)
		got := eval[string](b, `(() => { const e = document.activeElement; return e === document.body ? "" : getComputedStyle(e).outlineStyle + " " + getComputedStyle(e).outlineWidth + " " + e.tagName + "." + e.className })()`)
		if got == "" {
			break
		}
		seen++
		if strings.HasPrefix(got, "none") || strings.Contains(got, " 0px ") {
			t.Errorf("the focus is not seen: %s", got)
		}
	}
	if seen < 15 {
		t.Errorf("the tab key reaches %d things", seen)
	}
	b.quiet()
}

func TestBrowserWithoutScript(t *testing.T) {
	b := openInBrowser(t, drawn(), func(b *reader) {
		b.call(func() error {
			_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			return err
		})
	})
	if eval[bool](b, `document.querySelector(".grip") !== null`) {
		t.Fatal("scripts do run")
	}
	b.near("the bad seconds' left edge", b.boxOf(shop+" path.bad", shop+" svg").Left, 20.75/59.75, 0.003)
	if n := eval[int](b, `[...document.querySelectorAll("button, input")].filter(e => e.getClientRects().length > 0).length`); n != 0 {
		t.Errorf("%d controls that do nothing", n)
	}
	if s := eval[string](b, `document.body.innerText`); !strings.Contains(s, "Without JavaScript") || !strings.Contains(s, "75 bad of 2,945") {
		t.Errorf("the page does not say what it can without scripts: %s", s)
	}
	b.picture("without-script")
	b.quiet()
}

// An hour of ten probes opens, zooms down to single seconds, and reads what is there.
func TestBrowserLongRun(t *testing.T) {
	r := long(3600, 10)
	b := openInBrowser(t, r)
	eval[bool](b, `document.querySelector(".grip").focus(), true`)
	b.press(kb.Home)
	b.press("++++++")
	if got := eval[string](b, `document.querySelector(".cursor b").textContent`); got != "0 s to 1 s, baseline" {
		t.Errorf("the cursor reads %q", got)
	}
	s := r.Probes[0].Series
	for range 3 {
		b.press(kb.ArrowRight)
	}
	want := fmt.Sprintf("%d bad of 100", s.Failed[3])
	if got := eval[string](b, `document.querySelector(".lane .read").textContent`); !strings.HasSuffix(got, want) {
		t.Errorf("the shop reads %q, want %q", got, want)
	}
	b.press("0")
	b.picture("long")
	b.quiet()
}
