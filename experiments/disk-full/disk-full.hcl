variable "labels" {
  type        = map(string)
  description = "labels that the container has; one of those that do is chosen"
}

variable "path" {
  type        = string
  description = "a folder in the file system that becomes full, as the container sees it, such as /var/lib/data"
}

variable "in_use" {
  type        = string
  default     = "95%"
  description = "how much of the file system is in use then"
}

variable "size" {
  type        = string
  default     = ""
  description = "instead of in_use: how much is taken, such as \"512MB\""
}

variable "reserve" {
  type        = string
  default     = "2%"
  description = "what stays free, whatever happens: what others need above it is given back at once"
}

variable "duration" {
  type        = string
  default     = "60s"
  description = "how long the disk stays full"
}

target "docker_container" "victim" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { count = 1 }
}

experiment "disk-full" {
  hypothesis     = "When the disk is full, the service says so, and is well again when there is room"
  expect         = "recover"
  recover_within = "60s"

  fault "host_disk_fill" "victim" {
    target   = target.docker_container.victim
    duration = var.duration
    path     = var.path
    size     = var.size != "" ? var.size : null
    until    = var.size == "" ? var.in_use : null
    reserve  = var.reserve
  }
}
