# Chaos Gorilla: a whole zone goes, with every instance in it. Shows whether the
# zones that are left can carry the load, and whether traffic leaves the dead one.

scenario "chaos-gorilla" {
  title       = "The service survives losing a zone"
  environment = var.environment
}

variable "environment" {
  type        = string
  default     = "staging"
  description = "limits and policies are keyed on it"
}
variable "url" {
  type        = string
  description = "what a customer would ask for, through the load balancer"
}
variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}
variable "zone_label" {
  type        = string
  default     = "zone"
  description = "label that names a container's zone"
}
variable "max_targets" {
  type        = number
  default     = 5
  description = "no zone may have more instances than this"
}

probe "http" "service" {
  url     = var.url
  rate    = 100
  timeout = "1s"
}

steady_state "serving" {
  objective "available" {
    probe  = probe.http.service
    good   = sample.ok
    target = 0.99
    during { target = 0.95 } # requests that were under way in the zone may be lost
  }
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

experiment "lose-a-zone" {
  hypothesis     = "When a zone goes, the others carry the load"
  steady_state   = [steady_state.serving]
  baseline       = "10s"
  observe        = "20s"
  recover_within = "60s"

  fault "docker_kill" "zone" {
    target   = target.docker_container.zone
    duration = "20s"
  }
}

limits {
  max_targets = var.max_targets
}
