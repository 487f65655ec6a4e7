variable "labels" {
  type        = map(string)
  description = "labels of the containers that are cut off; all of them"
}

variable "from" {
  type        = list(string)
  default     = []
  description = "whom they are cut off from: addresses, networks, host names as they know them, or container:NAME (default: everybody)"
}

variable "answer" {
  type        = string
  default     = "drop"
  description = "drop: packets vanish, as with a cut cable; reject: they are answered, as by a host on which nobody listens"
}

variable "duration" {
  type        = string
  default     = "30s"
  description = "how long the partition lasts"
}

target "docker_container" "side" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { all = true }
}

experiment "partition" {
  hypothesis     = "When part of the system is cut off for ${var.duration}, all of it is well again soon after"
  expect         = "recover"
  recover_within = "30s"

  fault "net_partition" "side" {
    target   = target.docker_container.side
    duration = var.duration
    to       = length(var.from) > 0 ? var.from : null
    answer   = var.answer
    # Named peers are cut off in both directions, as everybody is.
    direction = "both"
  }
}
