// Prints the merge patch that Argo CD computes for a custom resource. Standard input is the manifest, which is also the
// last applied configuration, and the live object.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
)

func main() {
	var input struct{ Manifest, Live json.RawMessage }
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		log.Fatal(err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(input.Manifest, input.Manifest, input.Live)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(patch))
}
