# For those whose fingers know make; npm run lists the same.
.PHONY: start chat mesh test check gen images

start: ; npm start
chat: ; npm run chat
mesh: ; npm run mesh
test: ; npm test
check: ; npm run check
gen: ; npm run gen

services = chat-gateway alignment config session memory profile audit
images: $(services:%=image-%)
image-%: ; docker build --build-arg SERVICE=$* -f deploy/docker/Dockerfile -t soldier/$*:dev .
