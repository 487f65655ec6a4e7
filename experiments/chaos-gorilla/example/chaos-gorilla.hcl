# Chaos Gorilla: every instance of one zone dies.
#
#   faultline catalog chaos-gorilla    explains it, with all inputs

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
  description = "what a customer would ask for"
}

variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

variable "max_targets" {
  type        = number
  default     = 5
  description = "no zone may have more instances than this"
}

# 100 requests a second for 10 s are 1000 samples; 99 % takes 299 without a bad one.
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

experiment "chaos-gorilla" {
  source       = "catalog:chaos-gorilla"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "20s"
  inputs = {
    labels   = var.labels
    duration = "20s"
  }
}

limits {
  max_targets = var.max_targets
}
