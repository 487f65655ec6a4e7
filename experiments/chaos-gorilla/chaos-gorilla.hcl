variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

variable "zone_label" {
  type        = string
  default     = "zone"
  description = "label that names a container's zone"
}

variable "duration" {
  type        = string
  default     = "60s"
  description = "how long the zone stays dark; then its instances are started again"
}

target "docker_container" "zone" {
  match {
    label      = var.labels
    zone_label = var.zone_label
  }
  filter { condition = candidate.state == "running" }
  pick {
    groups   = 1
    group_by = "zone"
  }
}

experiment "chaos-gorilla" {
  hypothesis     = "When a zone goes, the others carry the load"
  recover_within = "60s"

  fault "docker_kill" "zone" {
    target   = target.docker_container.zone
    duration = var.duration
  }
}
