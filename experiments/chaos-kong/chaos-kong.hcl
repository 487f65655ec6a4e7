variable "labels" {
  type        = map(string)
  description = "labels that the containers have, in all regions"
}

variable "region" {
  type        = string
  description = "the region that is drained"
}

variable "region_label" {
  type        = string
  default     = "region"
  description = "label that names a container's region"
}

variable "failover" {
  type        = list(string)
  default     = []
  description = "command that moves the traffic away, a word each; without one, that is done by hand or by the system itself"
}

variable "failback" {
  type        = list(string)
  default     = []
  description = "command that brings the traffic back, a word each"
}

variable "command_timeout" {
  type        = string
  default     = "5m"
  description = "how long each of the commands may take"
}

variable "least" {
  type        = string
  default     = "60s"
  description = "how long the region is down before anybody is asked whether that is enough"
}

variable "most" {
  type        = string
  default     = "30m"
  description = "how long the region is down when nobody answers"
}

variable "patience" {
  type        = string
  default     = "30m"
  description = "how long each hold point waits for an answer before it takes the default, to go on"
}

target "docker_container" "region" {
  match { label = merge(var.labels, { (var.region_label) = var.region }) }
  filter { condition = candidate.state == "running" }
  pick { all = true }
}

# For people, the steps stand in the order in which they happen.
experiment "chaos-kong" {
  hypothesis     = "When region ${var.region} goes, the others carry all the traffic"
  recover_within = "120s"

  prompt "ready" {
    question = "Is everybody ready for region ${var.region} to be drained?"
    timeout  = var.patience
  }

  action "exec" "failover" {
    for_each = length(var.failover) > 0 ? { run = var.failover } : {}
    command  = each.value
    timeout  = var.command_timeout
    after    = [prompt.ready]
  }

  prompt "moved" {
    question = "Has the traffic left region ${var.region}, so that it can be taken down?"
    timeout  = var.patience
    after    = [prompt.ready, action.exec.failover]
  }

  fault "docker_kill" "region" {
    target     = target.docker_container.region
    duration   = var.most
    after      = [prompt.moved]
    ends_after = [prompt.enough]
  }

  prompt "enough" {
    question = "Region ${var.region} is down. Was that long enough, so that it can come up again?"
    timeout  = var.patience
    start    = var.least
    after    = [prompt.moved]
  }

  prompt "healthy" {
    question = "Is region ${var.region} healthy again, so that its traffic can come back?"
    timeout  = var.patience
    after    = [fault.docker_kill.region]
  }

  action "exec" "failback" {
    for_each = length(var.failback) > 0 ? { run = var.failback } : {}
    command  = each.value
    timeout  = var.command_timeout
    after    = [prompt.healthy]
  }
}
