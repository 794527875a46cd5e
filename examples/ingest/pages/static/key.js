// Security keys. All else on these pages works without scripts.
'use strict';

const keysWork = window.PublicKeyCredential &&
	PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;

// say tells what is going on, to screen readers too.
function say(text) {
	document.getElementById('key-status').textContent = text;
}

// post asks the server, and throws its own words where it refuses.
async function post(path, body) {
	const request = {method: 'POST', credentials: 'same-origin'};
	if (body) {
		request.headers = {'Content-Type': 'application/json'};
		request.body = JSON.stringify(body);
	}
	const response = await fetch(path, request);
	const answer = await response.json();
	if (!response.ok) {
		const refused = new Error(answer.title);
		refused.code = answer.code;
		throw refused;
	}
	return answer;
}

// ceremony runs with the button off, so that nobody asks twice at once.
async function ceremony(button, run) {
	button.disabled = true;
	say('Insert your security key, and touch it.');
	try {
		await run();
	} catch (problem) {
		say(problem.name === 'NotAllowedError' ? 'The key was not used. Try again.' :
			problem.name === 'InvalidStateError' ? 'This key is registered already.' : problem.message);
		if (problem.code === 'second_factor_required' || problem.code === 'security_key_required') {
			location.assign('/factor?next=/account&why=' + problem.code);
		}
		button.disabled = false;
	}
}

const use = document.getElementById('use-key');
if (use && keysWork) {
	use.hidden = false;
	use.addEventListener('click', () => ceremony(use, async () => {
		const options = await post('/auth/key/options');
		const credential = await navigator.credentials.get({
			publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey),
		});
		await post('/auth/key', {credential: credential.toJSON()});
		location.assign(use.dataset.next);
	}));
}

const add = document.getElementById('add-key');
if (add && keysWork) {
	add.hidden = false;
	add.addEventListener('submit', event => {
		event.preventDefault();
		ceremony(add.querySelector('button'), async () => {
			const options = await post('/auth/key/new');
			const credential = await navigator.credentials.create({
				publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey),
			});
			await post('/auth/keys', {name: add.elements.name.value, credential: credential.toJSON()});
			location.assign('/account');
		});
	});
}
