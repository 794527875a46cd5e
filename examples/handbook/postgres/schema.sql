-- Tables as a project on Supabase has them: ids are uuids, members say who belongs where.
create schema app;
create table app.members (
	org_id uuid not null,
	user_id uuid not null,
	role text not null check (role in ('admin', 'member')),
	primary key (org_id, user_id)
);
create table app.orders (
	org_id uuid not null,
	id bigint generated always as identity,
	note text not null default '',
	primary key (org_id, id)
);

-- The server's own login: it owns nothing and bypasses nothing.
create role server login;
alter role server set search_path = app;
grant usage on schema app to server;
revoke temporary on database postgres from public;
revoke create on schema public from public;
