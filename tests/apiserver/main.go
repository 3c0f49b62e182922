// Command crd-check says what the Kubernetes API server objects to in a CustomResourceDefinition, and in resources of
// its kind. It is the API server's own code, without the server: `crd-check DEFINITION [RESOURCE]...`.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	definitions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	config "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: crd-check DEFINITION [RESOURCE]...")
		os.Exit(2)
	}
	found, err := check(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, each := range found {
		fmt.Println(each)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

func check(definition string, resources []string) ([]string, error) {
	crd, found, err := readDefinition(definition)
	if err != nil || len(found) > 0 {
		return found, err
	}
	for _, path := range resources {
		more, err := checkResource(path, crd.Spec.Validation.OpenAPIV3Schema)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func readDefinition(path string) (*apiextensions.CustomResourceDefinition, []string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var versioned v1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &versioned); err != nil {
		return nil, nil, err
	}
	v1.SetDefaults_CustomResourceDefinition(&versioned)
	v1.SetDefaults_CustomResourceDefinitionSpec(&versioned.Spec)
	scheme := runtime.NewScheme()
	install.Install(scheme)
	crd := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(&versioned, crd, nil); err != nil {
		return nil, nil, err
	}
	return crd, said(path, definitions.ValidateCustomResourceDefinition(context.Background(), crd)), nil
}

func checkResource(path string, props *apiextensions.JSONSchemaProps) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var resource map[string]interface{}
	if err := yaml.Unmarshal(text, &resource); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(props)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		return nil, err
	}
	var found []string
	options := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, unknown := range pruning.PruneWithOptions(resource, structural, true, options) {
		found = append(found, fmt.Sprintf("%s: %s is pruned", path, unknown))
	}
	defaulting.Default(resource, structural)
	errors := validation.ValidateCustomResource(nil, resource, validator)
	errors = append(errors, listtype.ValidateListSetsAndMaps(nil, structural, resource)...)
	if len(errors) == 0 {
		rules := cel.NewValidator(structural, true, config.PerCallLimit)
		broken, _ := rules.Validate(context.Background(), nil, structural, resource, nil, config.RuntimeCELCostBudget)
		errors = append(errors, broken...)
	}
	return append(found, said(path, errors)...), nil
}

func said(path string, errors field.ErrorList) []string {
	var lines []string
	for _, each := range errors {
		lines = append(lines, fmt.Sprintf("%s: %s", path, each.Error()))
	}
	return lines
}
