package query

import (
	"encoding/json"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// The parts of an API Activity event of the Open Cybersecurity Schema Framework, version
// 1.5 (https://schema.ocsf.io/1.5.0/classes/api_activity).
type ocsfEvent struct {
	ClassUID    int            `json:"class_uid"`
	CategoryUID int            `json:"category_uid"`
	ActivityID  int            `json:"activity_id"`
	TypeUID     int            `json:"type_uid"`
	SeverityID  int            `json:"severity_id"`
	StatusID    int            `json:"status_id"`
	Status      string         `json:"status"`
	Time        int64          `json:"time"`
	Message     string         `json:"message,omitempty"`
	Metadata    ocsfMetadata   `json:"metadata"`
	Actor       ocsfActor      `json:"actor"`
	API         ocsfAPI        `json:"api"`
	Resources   []ocsfResource `json:"resources,omitempty"`
	Unmapped    map[string]any `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version   string      `json:"version"`
	Product   ocsfProduct `json:"product"`
	UID       int64       `json:"sequence"`
	TenantUID string      `json:"tenant_uid,omitempty"`
}

type ocsfProduct struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
}

type ocsfActor struct {
	User ocsfUser `json:"user"`
}

type ocsfUser struct {
	UID  string `json:"uid"`
	Type string `json:"type"`
}

type ocsfAPI struct {
	Operation string `json:"operation"`
}

type ocsfResource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

const (
	ocsfAPIActivity = 6003
	ocsfApplication = 6
	ocsfOther       = 99
	ocsfInformation = 1
	ocsfMedium      = 3
)

// ocsfActivities are the verbs that the class has numbers for.
var ocsfActivities = map[string]int{
	"create": 1, "add": 1, "read": 2, "list": 2, "export": 2, "update": 3, "change": 3,
	"delete": 4, "remove": 4, "erase": 4,
}

// OCSF returns the record as an API Activity event, one line of JSON. Values that are
// redacted or sealed in the log are null in it.
func OCSF(row Row) ([]byte, error) {
	r := row.Record
	verb := r.Action[strings.LastIndexByte(r.Action, '.')+1:]
	activity, known := ocsfActivities[verb]
	if !known {
		activity = ocsfOther
	}
	e := ocsfEvent{
		ClassUID: ocsfAPIActivity, CategoryUID: ocsfApplication, ActivityID: activity,
		TypeUID: ocsfAPIActivity*100 + activity, SeverityID: ocsfInformation,
		Status: string(r.Outcome), Time: r.Time.UnixMilli(),
		Metadata: ocsfMetadata{
			Version: "1.5.0", UID: row.Index, TenantUID: r.Tenant,
			Product: ocsfProduct{Name: "sallyport audit", Vendor: "opsmantik"},
		},
		Actor: ocsfActor{ocsfUser{r.Actor.ID, r.Actor.Kind}}, API: ocsfAPI{r.Action},
	}
	switch r.Outcome {
	case audit.OutcomeSuccess:
		e.StatusID = 1
	case audit.OutcomeFailure:
		e.StatusID = 2
	case audit.OutcomeDenied:
		e.StatusID, e.SeverityID = 2, ocsfMedium
	default:
		e.StatusID = ocsfOther
	}
	if r.ReasonHandle == "" {
		e.Message = r.Reason
	}
	if r.Target != (audit.Ref{}) {
		e.Resources = []ocsfResource{{r.Target.Kind, r.Target.ID}}
	}
	for _, f := range r.Fields {
		if e.Unmapped == nil {
			e.Unmapped = map[string]any{}
		}
		e.Unmapped[f.Name] = shown(f)
	}
	return json.Marshal(e)
}

// shown is a value that may leave the log, or nil.
func shown(f audit.Field) any {
	if f.Handle == "" && (f.Class == sallyport.Public || f.Class == sallyport.Internal) {
		return f.Value
	}
	return nil
}
