local isSuspended = obj.spec.suspend == true
return {
  renew = { disabled = isSuspended },
  suspend = { disabled = isSuspended },
  resume = { disabled = not isSuspended },
}
