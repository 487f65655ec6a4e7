# A file is marked, and the mark is taken away again.

scenario "day" {
  title = "Somebody marks a file"
  seed  = 7
}

variable "duration" {
  type    = string
  default = "1600ms"
}
variable "rate" {
  type    = number
  default = 5 # a slow machine is no reason to miss a sample
}
variable "things" {
  type    = string
  default = "things"
}
variable "mark" {
  type        = string
  default     = ""
  description = "things are bad while this file exists"
}

probe "dummy_health" "things" {
  file = "health"
  mark = var.mark
  rate = var.rate
}

steady_state "fine" {
  objective "good" {
    probe       = probe.dummy_health.things
    good        = sample.ok
    target      = 0.5
    min_samples = 5
  }
}

target "dummy_file" "things" {
  match { dir = var.things }
}

experiment "mark" {
  hypothesis     = "Nobody minds a mark"
  steady_state   = [steady_state.fine]
  baseline       = "1600ms"
  observe        = "1600ms"
  recover_within = "2s"

  fault "dummy_mark" "one" {
    target   = target.dummy_file.things
    duration = var.duration
    trouble  = "trouble"
  }
}
