variable "labels" {
  type        = map(string)
  description = "labels of the containers whose questions go wrong; all of them"
}

variable "names" {
  type        = list(string)
  default     = ["*"]
  description = "the names that are answered wrongly, such as db.internal or *.example.com; * for all"
}

variable "answer" {
  type        = string
  default     = "timeout"
  description = "timeout: no answer at all; servfail: the server has failed; nxdomain: there is no such name"
}

variable "percent" {
  type        = number
  default     = 100
  description = "share of the questions that go wrong"
}

variable "duration" {
  type        = string
  default     = "60s"
  description = "how long it lasts; names that a program has looked up may be known for longer than that"
}

target "docker_container" "asking" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { all = true }
}

experiment "dns-outage" {
  hypothesis     = "When names cannot be looked up for ${var.duration}, the service is well again soon after"
  expect         = "recover"
  recover_within = "60s"

  fault "net_dns" "asking" {
    target   = target.docker_container.asking
    duration = var.duration
    names    = var.names
    answer   = var.answer
    percent  = var.percent
  }
}
