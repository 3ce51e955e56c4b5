# Multiple imputation by chained equations: Rscript impute.R TABLE.csv METHOD COPIES OUT, a column of OUT for each copy
suppressMessages(library(mice))
a <- commandArgs(TRUE)
copies <- as.integer(a[3])
z <- mice(read.csv(a[1]), m = copies, method = a[2], seed = 1, printFlag = FALSE)
write.table(sapply(1:copies, function(i) as.matrix(complete(z, i))), a[4], row.names = FALSE, col.names = FALSE)
