// Package server is the HTTP half: who may join a room, and the page that does.
//
//	POST /login                                   demo: names a user
//	POST /logout                                  ends the user's calls and tokens, too
//	POST /sites/{site_id}/rooms/{room}/token      a fingerprint for a session token,
//	                                              and for TURN credentials
//	POST /sites/{site_id}/rooms/{room}/offer      a token and an offer for an answer
//	GET    /sites/{site_id}/recordings            what there is to listen to
//	POST   .../recordings/{call}/{track}/link     a signed URL of five minutes
//	GET    /recordings/{site_id}/{call}/{track}   plays it, in ranges
//	PUT    .../recordings/{call}/transcript       and GET
//	DELETE .../recordings/{call}                  destroys the call's key
//
// A token is for one user, room and certificate, lives for a minute, and opens one
// session; a user gets five a minute. The offer goes through package sdp to package
// media.
//
//	limit by address > same origin > session > site access > 5 a minute > token
//	limit by address > same origin > token, single use > sdp > media
package server
