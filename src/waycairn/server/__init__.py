"""What a team looks at: a REST API over a store, and the page that is its client. Needs `waycairn[server]`.

    waycairn serve            # on loopback, with a setup link at the first start

`app.py` puts it together, `access.py` is the one place that decides who may do what, `routes/` are the routes by noun,
`models/` what they answer. Everything is read from the store and written to it by the public `Store`: the server keeps
nothing that a restart could lose but who watches at this moment and what it does in the background.
"""
