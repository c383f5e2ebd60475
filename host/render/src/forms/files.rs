//! The files that a command writes, in all forms.

use super::csv::CsvFile;
use super::{FormSource, source_of};
use crate::error::OutputError;
use crate::file::{NewFile, OutputFiles};
use llmuses_core::document::Document;

/// How a document becomes the content of a file.
type Render = fn(&Document) -> String;

/// Files of results in the making.
#[derive(Debug, Default)]
pub struct Files {
    documents: Vec<(NewFile, Render)>,
    rows: Option<CsvFile>,
}

impl Files {
    /// Makes all of the files, or none of them.
    ///
    /// # Errors
    /// Where there is such a file already, or one cannot be made.
    pub fn begin(targets: &OutputFiles) -> Result<Self, OutputError> {
        let mut files = Self::default();
        for file in NewFile::make_all(targets)? {
            match source_of(file.flag()) {
                Some(FormSource::Document(render)) => files.documents.push((file, render)),
                Some(FormSource::Requests) => match CsvFile::start(file) {
                    Ok(rows) => files.rows = Some(rows),
                    Err(reason) => {
                        files.discard();
                        return Err(OutputError::Thread(reason));
                    }
                },
                None => file.discard(),
            }
        }
        Ok(files)
    }

    /// Where a row for each request goes.
    pub fn rows(&self) -> Option<&CsvFile> {
        self.rows.as_ref()
    }

    /// Writes the results so far, so that they are there whatever comes; standard output waits for the end. Gives back why
    /// files could not be written.
    pub fn write_so_far(&self, document: &Document) -> Vec<OutputError> {
        self.documents
            .iter()
            .filter(|(file, _)| file.path().is_some())
            .filter_map(|(file, render)| file.replace(&render(document)).err())
            .collect()
    }

    /// Writes each file, even where another cannot be written. Gives back why some could not be written.
    pub fn finish(self, document: &Document) -> Vec<OutputError> {
        let rows = self.rows.map(|rows| rows.finish().map(drop));
        let documents = self
            .documents
            .into_iter()
            .map(|(file, render)| file.write(&render(document)));
        rows.into_iter()
            .chain(documents)
            .filter_map(Result::err)
            .collect()
    }

    /// Takes the files away again: there is nothing to write.
    pub fn discard(self) {
        self.documents
            .into_iter()
            .for_each(|(file, _)| file.discard());
        self.rows.into_iter().for_each(CsvFile::discard);
    }
}
