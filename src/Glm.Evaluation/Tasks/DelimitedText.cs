using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>Tables in text: one record a line, with or without quoted cells that may hold separators and line ends (RFC 4180).</summary>
internal static class DelimitedText
{
    /// <summary>The records of a table.</summary>
    /// <param name="file">What to name in errors.</param>
    /// <param name="text">The table.</param>
    /// <param name="delimiter">What separates cells.</param>
    /// <param name="quotes">Whether cells may be quoted.</param>
    /// <param name="columns">Names of the columns; null where the first line has them.</param>
    public static IEnumerable<DataRecord> Read(string file, string text, char delimiter, bool quotes, IReadOnlyList<string>? columns)
    {
        foreach (var (cells, line, open) in Rows(text, delimiter, quotes))
        {
            if (cells.Count == 1 && cells[0].Length == 0) continue;
            if (columns is null)
            {
                columns = cells;
                if (columns.Distinct().Count() < columns.Count) throw new GlmException($"{file}: line {line}: expected different names of columns, found {string.Join(", ", columns)}");
            }
            else if (open) yield return new DataRecord(null, $"line {line}", "expected a quote at the end of a quoted cell, found the end of the file");
            else if (cells.Count != columns.Count) yield return new DataRecord(null, $"line {line}", $"expected {columns.Count} cells, found {cells.Count}");
            else yield return new DataRecord(new JsonObject(columns.Zip(cells, (name, cell) => KeyValuePair.Create(name, (JsonNode?)cell))), $"line {line}");
        }
    }

    private static IEnumerable<(List<string> Cells, int Line, bool Open)> Rows(string text, char delimiter, bool quotes)
    {
        var cells = new List<string>();
        var cell = new StringBuilder();
        bool quoted = false;
        int line = 1, first = 1;
        for (int i = 0; i <= text.Length; i++)
        {
            char c = i < text.Length ? text[i] : '\n';
            if (c == '\n' && i < text.Length) line++;
            if (quoted && i < text.Length)
            {
                if (c != '"') cell.Append(c);
                else if (i + 1 < text.Length && text[i + 1] == '"') cell.Append(text[i++]);
                else quoted = false;
            }
            else if (quotes && c == '"' && cell.Length == 0) quoted = true;
            else if (c == delimiter || c == '\n')
            {
                if (c == '\n' && cell.Length > 0 && cell[^1] == '\r') cell.Length--;
                cells.Add(cell.ToString());
                cell.Clear();
                if (c == delimiter) continue;
                if (i < text.Length || cells.Count > 1 || cells[0].Length > 0) yield return (cells, first, quoted);
                cells = [];
                first = line;
            }
            else cell.Append(c);
        }
    }
}
