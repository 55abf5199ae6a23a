// Runs a Lua script of Argo CD on an object, with the interpreter and the libraries that Argo CD gives it.
// Standard input: {"script": text, "object": {...}}. Prints what the script returns, as JSON.
package main

import (
	"encoding/json"
	"log"
	"os"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func main() {
	var input struct {
		Script string
		Object any
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		log.Fatal(err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// Argo CD opens these in this order, and a part of os.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
		{lua.OsLibName, lua.OpenOs},
	} {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			log.Fatal(err)
		}
	}
	state.SetGlobal("obj", luajson.DecodeValue(state, input.Object))
	if err := state.DoString(input.Script); err != nil {
		log.Fatal(err)
	}
	output, err := luajson.Encode(state.Get(-1))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := os.Stdout.Write(output); err != nil {
		log.Fatal(err)
	}
}
