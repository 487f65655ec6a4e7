# One web process of three is killed. Do customers notice?
#
#   faultline demo              starts the shop and runs this, once without and once with retries
#   faultline plan scenarios/quickstart -var ...    what would happen, to whom, for how long

scenario "quickstart" {
  title       = "Checkout survives losing a web process"
  environment = "demo"
}

variable "gateway" {
  type        = string
  description = "URL that customers use, such as http://127.0.0.1:8080"
}
variable "store" {
  type        = string
  description = "URL of the shop's store; the web process needs it to start again"
}
variable "web1_listen" {
  type        = string
  description = "address of the first web process, which it must come back on"
}
variable "shop" {
  type        = string
  description = "path of the shop program"
}
variable "dir" {
  type        = string
  description = "folder of the shop's pid files and logs"
}

# What we watch: a customer who checks out 100 times a second.
probe "http" "checkout" {
  url     = "${var.gateway}/checkout"
  rate    = 100
  timeout = "1s"
}

# What healthy means: a share of good samples. To claim 99 %, 299 samples without
# a bad one are needed: 3 s at this rate. Each phase below has 5 s.
steady_state "checkout" {
  objective "available" {
    probe  = probe.http.checkout
    good   = sample.ok
    target = 0.99
  }
  objective "fast" {
    probe  = probe.http.checkout
    good   = sample.latency < 0.5
    target = 0.95 # a laptop that is busy with other things is not the shop's fault
  }
}

# Whom we may touch: the process whose id stands in this file, and nobody else.
target "process" "web" {
  match { pid_file = "${var.dir}/web1.pid" }
}

# What we believe, and how we try to prove it wrong.
experiment "lose-one-web" {
  hypothesis     = "When one of three web processes dies, customers notice nothing"
  steady_state   = [steady_state.checkout]
  baseline       = "3s" # not steady to begin with? Then nothing is broken
  observe        = "5s"
  recover_within = "10s"

  fault "process_kill" "web" {
    target   = target.process.web
    duration = "5s"
    signal   = "SIGKILL"

    # A killed process does not come back by itself: this is how it is started
    # again, also when faultline itself dies half-way.
    restart {
      command = [
        var.shop, "web", "-name", "web1", "-listen", var.web1_listen, "-store", var.store,
        "-pid-file", "${var.dir}/web1.pid", "-max-life", "5m",
      ]
      output = "${var.dir}/web1.log"
    }
  }
}

limits {
  max_targets = 1
}
