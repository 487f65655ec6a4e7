package dockertest

import "testing"

// sell checks out n times and returns how many failed.
func sell(t *testing.T, shop *Shop, n int) (failed int) {
	t.Helper()
	for range n {
		if _, err := checkout(t.Context(), shop.GatewayURL); err != nil {
			t.Log(err)
			failed++
		}
	}
	return failed
}

// sells tries until that many of n checkouts fail, or more do each time: on a busy machine
// the shop's timeouts, of a quarter of a second and up, fail some now and then. Fewer fail
// at no time.
func sells(t *testing.T, shop *Shop, n, want int) (failed int) {
	t.Helper()
	for range 10 {
		if failed = sell(t, shop, n); failed <= want {
			return failed
		}
	}
	return failed
}

// The game day's three faults, by hand: what they do to the shop is what the
// scenario's hypotheses are about.
func TestShopOnTheEngine(t *testing.T) {
	cli := Client(t)
	shop := StartShop(t)
	if failed := sells(t, shop, 30, 0); failed != 0 {
		t.Errorf("a healthy shop fails %d of 30 checkouts", failed)
	}

	if err := cli.ContainerKill(t.Context(), shop.Webs[0].ID, "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	if failed := sells(t, shop, 60, 0); failed != 0 {
		t.Errorf("with one web container killed, %d of 60 checkouts fail", failed)
	}

	if err := cli.ContainerPause(t.Context(), shop.Store.ID); err != nil {
		t.Fatal(err)
	}
	if failed := sell(t, shop, 3); failed != 3 {
		t.Errorf("with the store paused, %d of 3 checkouts fail, want all", failed)
	}
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
	if failed := sells(t, shop, 30, 10); failed != 10 {
		t.Errorf("with one of three web containers killed, %d of 30 checkouts fail, want 10", failed)
	}
}
