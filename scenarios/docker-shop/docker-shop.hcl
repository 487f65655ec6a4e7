# A game day for the shop in containers (compose.yaml starts it): a web container
# is killed, the store hangs, a zone is restarted.
#
#   faultline plan scenarios/docker-shop     what would happen, to which container, for how long
#   faultline run  scenarios/docker-shop     do it, put everything back, and say what was learnt

scenario "docker-shop" {
  title       = "The shop in containers survives what happens to containers"
  environment = "demo"
}

variable "gateway" {
  type        = string
  default     = "http://127.0.0.1:8080"
  description = "URL that customers use"
}
variable "shop" {
  type        = string
  default     = "docker-shop"
  description = "value of the label \"shop\" of the containers that may be touched"
}

# On a machine that is busy with other things the shop's own timeouts, 250 ms for the
# store and 400 ms for a web container, lose a request now and then without any fault.
variable "target" {
  type        = number
  default     = 0.99
  description = "share of checkouts that must succeed, and that must be fast"
}

variable "rate" {
  type        = number
  default     = 50
  description = "checkouts a second"
}

# ---- what we watch, and what healthy means ---------------------------------------

probe "http" "checkout" {
  url     = "${var.gateway}/checkout"
  rate    = var.rate
  timeout = "1s"
}

# A claim of 99 % needs 299 samples without a bad one, or 473 with one. Each phase
# below lasts at least 10 s, which is 500 samples at 50 a second. `faultline plan`
# prints what every objective needs beside what it will get.
#
# Half a second lets the gateway wait in vain for one web container, which it does
# for at most 400 ms, and ask the next.
steady_state "checkout" {
  objective "available" {
    probe  = probe.http.checkout
    good   = sample.ok
    target = var.target
  }
  objective "fast" {
    probe  = probe.http.checkout
    good   = sample.latency < 0.5
    target = var.target
  }
}

# ---- whom we may touch ---------------------------------------------------------------

# All labels must match, so a container of another project is never a candidate.
# Which of the candidates it will be is drawn from the seed, printed by `plan`.
target "docker_container" "web" {
  match { label = { "shop" = var.shop, "app" = "web" } }
  filter { condition = candidate.state == "running" }
  pick { count = 1 }
}

# One whole zone, whichever containers are in it. The plugin reads the zone from
# the label "zone"; match { zone_label = "..." } names another.
target "docker_container" "web_zone" {
  match { label = { "shop" = var.shop, "app" = "web" } }
  filter { condition = candidate.state == "running" }
  pick {
    groups   = 1
    group_by = "zone"
  }
}

# There is one store. No pick means one target.
target "docker_container" "store" {
  match { label = { "shop" = var.shop, "app" = "store" } }
  filter { condition = candidate.state == "running" }
}

# ---- what we believe, and how we try to prove it wrong ----------------------------------

# A kill by the engine keeps the restart policy from acting, as `docker kill` does:
# the container stays down until the fault ends. With via = "crash" its main
# process would die instead, and the policy would start it again at once.
experiment "lose-one-web" {
  hypothesis     = "When one of three web containers dies, customers notice nothing"
  steady_state   = [steady_state.checkout]
  baseline       = "3s"
  observe        = "12s"
  recover_within = "10s"

  fault "docker_kill" "web" {
    target   = target.docker_container.web
    duration = "10s"
    signal   = "SIGKILL"
  }
}

# Nobody can sell without a store, so checkouts may fail while it hangs. What we
# believe is that the shop gets well by itself: nothing holds on to a dead
# connection, nobody has to restart anything. expect = "recover" judges only that.
experiment "store-hangs" {
  hypothesis     = "When the store hangs for 5 s, checkouts work again within 10 s of its return"
  steady_state   = [steady_state.checkout]
  expect         = "recover"
  baseline       = "3s"
  observe        = "12s"
  recover_within = "10s"

  fault "docker_pause" "store" {
    target   = target.docker_container.store
    duration = "5s"
  }
}

# A restart ends by itself; `duration` is when faultline would step in if the
# container were still down. The phase ends when the container is back, too soon to
# have 299 samples: this experiment, too, is judged after it.
experiment "restart-a-zone" {
  hypothesis     = "Restarting the web containers of one zone, as an upgrade does, leaves nothing behind"
  steady_state   = [steady_state.checkout]
  expect         = "recover"
  baseline       = "3s"
  observe        = "12s"
  recover_within = "10s"

  fault "docker_restart" "zone" {
    target   = target.docker_container.web_zone
    duration = "10s"
  }
}

# How much may be touched at once, whatever the experiments above say. Exceeding a
# limit is an error of the plan; nothing is cut to fit. (With two web containers a
# zone, keep_per_zone = 1 would make sure that no zone is emptied.)
limits {
  max_targets = 1
}
