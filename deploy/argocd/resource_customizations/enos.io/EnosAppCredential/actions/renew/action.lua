local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
-- Any new value asks for a renewal.
obj.metadata.annotations["enos.io/renew-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
