package dockertest

import (
	"testing"
	"time"
)

// sell checks out n times and returns how many failed, and the slowest.
func sell(t *testing.T, shop *Shop, n int) (failed int, slowest time.Duration) {
	t.Helper()
	for range n {
		began := time.Now()
		if _, err := checkout(t.Context(), shop.GatewayURL); err != nil {
			failed++
		}
		slowest = max(slowest, time.Since(began))
	}
	return failed, slowest
}

// The game day's three faults, by hand: what they do to the shop is what the
// scenario's hypotheses are about.
func TestShopOnTheEngine(t *testing.T) {
	cli := Client(t)
	shop := StartShop(t)
	if failed, _ := sell(t, shop, 30); failed != 0 {
		t.Errorf("a healthy shop fails %d of 30 checkouts", failed)
	}

	if err := cli.ContainerKill(t.Context(), shop.Webs[0].ID, "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	failed, slowest := sell(t, shop, 60)
	t.Logf("with one web container killed the slowest of 60 checkouts took %v", slowest)
	if failed != 0 {
		t.Errorf("with one web container killed, %d of 60 checkouts fail", failed)
	}

	if err := cli.ContainerPause(t.Context(), shop.Store.ID); err != nil {
		t.Fatal(err)
	}
	if failed, slowest = sell(t, shop, 3); failed != 3 {
		t.Errorf("with the store paused, %d of 3 checkouts fail, want all", failed)
	}
	t.Logf("with the store paused the slowest checkout took %v", slowest)
	if err := cli.ContainerUnpause(t.Context(), shop.Store.ID); err != nil {
		t.Fatal(err)
	}
	shop.Webs = shop.Webs[1:] // the killed one stays down
	shop.waitForEveryInstance(t)
}

func TestShopWithoutRetry(t *testing.T) {
	cli := Client(t)
	shop := StartShop(t, "-retry=false")
	if err := cli.ContainerKill(t.Context(), shop.Webs[2].ID, "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	if failed, _ := sell(t, shop, 30); failed != 10 {
		t.Errorf("with one of three web containers killed, %d of 30 checkouts fail, want 10", failed)
	}
}
