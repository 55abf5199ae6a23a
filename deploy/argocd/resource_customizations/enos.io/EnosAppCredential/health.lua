-- The health of an EnosAppCredential. It follows kstatus (Flux, kpt), but for two cases that Argo CD has words for:
-- an expired token is Degraded, and a suspended resource is Suspended.
local function condition(type)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, candidate in ipairs(obj.status.conditions) do
      if candidate.type == type then
        return candidate
      end
    end
  end
  return {}
end

local function health(status, message)
  return { status = status, message = message }
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The resource is being deleted")
end
-- The CRD gives a new resource the observedGeneration -1.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not seen this generation yet")
end

local ready, renewal = condition("Ready"), condition("RenewalHealthy")
local reconciling, stalled = condition("Reconciling"), condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.reason .. ": " .. stalled.message)
end
if ready.status == "False" and ready.reason == "TokenExpired" then
  return health("Degraded", "TokenExpired: " .. ready.message)
end
if obj.spec.suspend then
  return health("Suspended", ready.message)
end
if reconciling.status == "True" then
  return health("Progressing", reconciling.reason .. ": " .. reconciling.message)
end
if ready.status ~= "True" then
  return health("Progressing", ready.reason and (ready.reason .. ": " .. ready.message) or "No condition yet")
end
if renewal.status == "False" then
  return health("Healthy", ready.message .. "; the renewal fails, " .. renewal.reason .. ": " .. renewal.message)
end
return health("Healthy", ready.message)
