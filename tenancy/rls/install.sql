create schema if not exists sallyport;
revoke all on schema sallyport from public;
grant usage on schema sallyport to public;

-- The two halves of each HMAC key. Only the owner reads them, and the function below,
-- which runs as the owner.
create table if not exists sallyport.seal_key (
	name      text primary key,
	inner_pad bytea not null check (length(inner_pad) = 64),
	outer_pad bytea not null check (length(outer_pad) = 64)
);
revoke all on sallyport.seal_key from public;

-- scope returns {site, user} of the sealed setting. STABLE, so that it runs once a
-- statement where a policy writes (select sallyport.scope()); never IMMUTABLE, which
-- would let a cached plan keep another tenant's answer.
create or replace function sallyport.scope() returns text[]
language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	sealed text := nullif(current_setting('sallyport.scope', true), '');
	parts  text[];
	body   bytea;
begin
	if sealed is null then -- never set, or the transaction that set it is over
		return null;
	end if;
	parts := string_to_array(sealed, '.');
	if array_length(parts, 1) = 6 and parts[1] = 'v1' and parts[6] ~ '^[0-9a-f]{64}$' then
		body := convert_to(left(sealed, -65), 'UTF8');
		-- Hashing both sides once more keeps the comparison from telling where it failed.
		perform 1 from sallyport.seal_key k
		where sha256(sha256(k.outer_pad || sha256(k.inner_pad || body)))
			= sha256(decode(parts[6], 'hex'));
		if found then
			-- By the transaction's start: a long one is not cut off, a later one is.
			if parts[4]::bigint < extract(epoch from transaction_timestamp()) then
				raise exception 'the sealed scope has expired'
					using errcode = '28000', schema = 'sallyport';
			end if;
			if parts[5] <> '0' and parts[5]::int <> pg_backend_pid() then
				raise exception 'the sealed scope belongs to another connection'
					using errcode = '28000', schema = 'sallyport';
			end if;
			return array[convert_from(decode(parts[2], 'hex'), 'UTF8'),
				convert_from(decode(parts[3], 'hex'), 'UTF8')];
		end if;
	end if;
	raise exception 'the scope is not sealed by this application'
		using errcode = '28000', schema = 'sallyport';
end
$$;

create or replace function sallyport.site() returns text
language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $$ select (sallyport.scope())[1] $$;

create or replace function sallyport.member() returns text
language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $$ select (sallyport.scope())[2] $$;
