module peers_go

go 1.19
