package journal

import (
	"encoding/json"
	"testing"
	"time"
)

func TestGuardsOfOldJournals(t *testing.T) {
	var e RunStarted
	raw := `{"guards": ["payments", {"name": "dark", "probe": "lamp.all", "good": "sample.ok", "for_ns": 2000000000}]}`
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Guards) != 2 || e.Guards[0].Name != "payments" || e.Guards[1].Probe != "lamp.all" || e.Guards[1].For != 2*time.Second {
		t.Errorf("guards %+v", e.Guards)
	}
	if err := json.Unmarshal([]byte(`{"guards": [7]}`), &e); err == nil {
		t.Error("a number was taken for a guard")
	}
}
