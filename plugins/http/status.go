package main

import "strconv"

// Most samples carry nothing but a status: they share one map for each code, which
// nobody writes to, and one text.
var (
	statusExtras [600]map[string]any
	statusTexts  [600]string
)

func init() {
	for code := range statusExtras {
		statusExtras[code] = map[string]any{"status": float64(code)}
		statusTexts[code] = "status " + strconv.Itoa(code)
	}
}

func statusExtra(code int) map[string]any {
	if code < 0 || code >= len(statusExtras) {
		return map[string]any{"status": float64(code)}
	}
	return statusExtras[code]
}

func statusText(code int) string {
	if code < 0 || code >= len(statusTexts) {
		return "status " + strconv.Itoa(code)
	}
	return statusTexts[code]
}
