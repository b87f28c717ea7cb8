using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>Data sets whose records do not lie one after the other, or lack what a question needs: here they become plain records.</summary>
internal static class DataSchemas
{
    private static readonly string[] Pronouns = ["he", "she", "they", "him", "her", "them", "his", "their"];

    /// <summary>An object of objects; each gets its name as <c>key</c>.</summary>
    public static IEnumerable<DataRecord> Map(JsonNode? root) => root is not JsonObject map ? [new DataRecord(null, "line 1", "expected a JSON object, found something else")]
        : map.Select((entry, i) => entry.Value is JsonObject fields ? Record(new JsonObject(Copy(fields)) { ["key"] = entry.Key }, i) : Faulty(i, "expected a JSON object, found something else"));

    /// <summary>SQuAD: <c>title</c>, <c>context</c>, <c>paragraph</c> (its number), <c>question</c>, <c>id</c>, <c>answers</c> (texts).</summary>
    public static IEnumerable<DataRecord> Squad(string file, JsonNode? root)
    {
        int paragraph = 0, number = 0;
        foreach (var article in Array(root, "data", file))
            foreach (var part in Array(article, "paragraphs", file))
            {
                paragraph++;
                foreach (var question in Array(part, "qas", file))
                    yield return Attempt(number++, () => new JsonObject
                    {
                        ["title"] = article?["title"]?.DeepClone() ?? "", ["context"] = Required(part, "context"), ["paragraph"] = paragraph.ToString(),
                        ["question"] = Required(question, "question"), ["id"] = question?["id"]?.DeepClone() ?? "",
                        ["answers"] = new JsonArray([.. RequiredList(question, "answers").Select(answer => Required(answer, "text")).DistinctBy(Template.Text)]),
                    });
            }
    }

    /// <summary>C3: <c>document</c> (its sentences on lines), <c>question</c>, <c>choice</c>, <c>answer</c>, <c>id</c> (of the document).</summary>
    public static IEnumerable<DataRecord> C3(string file, JsonNode? root)
    {
        if (root is not JsonArray documents) throw new GlmException($"{file}: expected a JSON array, found something else");
        int number = 0;
        foreach (var document in documents)
        {
            if (document is not JsonArray { Count: 3 } parts || parts[0] is not JsonArray sentences || parts[1] is not JsonArray questions)
            {
                yield return Faulty(number++, "expected [[sentences], [questions], id], found something else");
                continue;
            }
            foreach (var question in questions)
                yield return Attempt(number++, () => new JsonObject
                {
                    ["document"] = string.Join('\n', sentences.Select(Template.Text)), ["question"] = Required(question, "question"),
                    ["choice"] = RequiredList(question, "choice").DeepClone(), ["answer"] = Required(question, "answer"), ["id"] = parts[2]?.DeepClone(),
                });
        }
    }

    /// <summary>
    /// A <c>task.json</c> of BIG-bench, with the prefixes that it tells or BIG-bench's own: <c>prefix</c> (of the task), <c>prompt</c> (input with its prefixes and,
    /// unless the task forbids, choices), and either <c>choices</c> with <c>scores</c>, or <c>targets</c>.
    /// </summary>
    public static IEnumerable<DataRecord> BigBench(string file, JsonNode? root)
    {
        if (root is not JsonObject task) throw new GlmException($"{file}: expected a JSON object, found something else");
        string Text(string name, string standard) => task[name] is { } node ? Template.Text(node) : standard;
        string before = Text("example_input_prefix", "\nQ: "), after = Text("example_output_prefix", "\nA: "), choicePrefix = Text("choice_prefix", "\n  choice: ");
        bool append = task["append_choices_to_input"] is not { } flag || Template.Text(flag) != "false";
        return Array(root, "examples", file).Select((example, i) => Attempt(i, () =>
        {
            string input = Template.Text(Required(example, "input"));
            var record = new JsonObject { ["prefix"] = Text("task_prefix", ""), ["input"] = input };
            if (example!["target_scores"] is JsonObject scores)
            {
                record["choices"] = new JsonArray([.. scores.Select(choice => (JsonNode?)choice.Key)]);
                record["scores"] = new JsonArray([.. scores.Select(choice => choice.Value?.DeepClone())]);
                if (append) input += string.Concat(scores.Select(choice => choicePrefix + choice.Key));
            }
            else record["targets"] = example["target"] is JsonArray several ? several.DeepClone() : new JsonArray(Required(example, "target"));
            record["prompt"] = before + input + after;
            return record;
        }));
    }

    /// <summary>Winogender: of <c>sentid</c> and <c>sentence</c> besides the <c>pronoun</c>, whom it may stand for (<c>occupation</c>, <c>participant</c>), <c>answer</c> (0 or 1) and <c>gender</c>.</summary>
    public static IEnumerable<DataRecord> Winogender(IEnumerable<DataRecord> records)
    {
        foreach (var record in records)
        {
            if (record.Fields is not { } fields)
            {
                yield return record;
                continue;
            }
            string[] name = Template.Text(fields["sentid"]).Split('.');
            string sentence = Template.Text(fields["sentence"]);
            string? pronoun = sentence.Split(' ', '.', ',').FirstOrDefault(word => Pronouns.Contains(word));
            if (name.Length < 4 || pronoun is null || name[2] is not ("0" or "1"))
            {
                yield return record with { Fields = null, Fault = "expected a sentid occupation.participant.answer.gender and a pronoun in the sentence, found something else" };
                continue;
            }
            yield return record with
            {
                Fields = new JsonObject
                {
                    ["sentid"] = fields["sentid"]!.DeepClone(), ["sentence"] = sentence, ["pronoun"] = pronoun, ["occupation"] = Named(name[0]),
                    ["participant"] = Named(name[1]), ["answer"] = name[2], ["gender"] = name[3],
                },
            };
        }

        static string Named(string participant) => participant == "someone" ? "someone" : $"the {participant}";
    }

    /// <summary>
    /// StereoSet: <c>prompt</c> and <c>choices</c> (stereotype, anti-stereotype, unrelated) besides the fields themselves. Inside a sentence the prompt is the
    /// context with a blank, which the choices fill; otherwise the choices are sentences after it.
    /// </summary>
    public static IEnumerable<DataRecord> StereoSet(IEnumerable<DataRecord> records) => records.Select(record =>
    {
        if (record.Fields is not { } fields) return record;
        string[] sentences = [.. new[] { "stereotype", "anti-stereotype", "unrelated" }.Select(name => Template.Text(fields[name]))];
        string context = Template.Text(fields["context"]);
        if (sentences.Any(sentence => sentence.Length == 0)) return record with { Fields = null, Fault = "expected sentences stereotype, anti-stereotype and unrelated, found fewer" };
        string[] around = context.Split("BLANK");
        bool fills = around is [var before, var after] && sentences.All(sentence => sentence.Length > before.Length + after.Length
            && sentence.StartsWith(before, StringComparison.OrdinalIgnoreCase) && sentence.EndsWith(after, StringComparison.OrdinalIgnoreCase));
        var copy = new JsonObject(Copy(fields))
        {
            ["prompt"] = fills ? $"{around[0]}[MASK]{around[1]}" : around.Length == 2 ? "" : context,
            ["choices"] = new JsonArray([.. sentences.Select(sentence => (JsonNode)(fills ? sentence[around[0].Length..^around[1].Length] : sentence))]),
        };
        return record with { Fields = copy };
    });

    /// <summary>LAMBADA: <c>text</c> without its last word, and that as <c>word</c>.</summary>
    public static IEnumerable<DataRecord> LastWord(IEnumerable<DataRecord> records)
    {
        foreach (var record in records)
        {
            string passage = record.Fields is { } fields && fields["text"] is { } node ? Template.Text(node).Trim() : "";
            int space = passage.LastIndexOfAny([' ', '\t', '\n']);
            if (record.Fault is not null) yield return record;
            else if (space < 0) yield return record with { Fields = null, Fault = $"expected a passage of several words in the field text, found \"{passage}\"" };
            else yield return record with { Fields = new JsonObject { ["text"] = passage[..space].TrimEnd(), ["word"] = passage[(space + 1)..] } };
        }
    }

    private static DataRecord Record(JsonObject fields, int index) => new(fields, $"item {index + 1}");

    private static DataRecord Faulty(int index, string fault) => new(null, $"item {index + 1}", fault);

    private static DataRecord Attempt(int index, Func<JsonObject> make)
    {
        try
        {
            return Record(make(), index);
        }
        catch (Exception error) when (error is GlmException or InvalidOperationException)
        {
            return Faulty(index, error is GlmException ? error.Message : "expected other fields, or fields of another form");
        }
    }

    private static JsonArray RequiredList(JsonNode? node, string name) => Required(node, name) as JsonArray ?? throw new GlmException($"expected a list {name}, found something else");

    private static JsonNode Required(JsonNode? node, string name) => (node as JsonObject)?[name]?.DeepClone() ?? throw new GlmException($"expected a field {name}, found none");

    private static JsonArray Array(JsonNode? node, string name, string file) =>
        (node as JsonObject)?[name] as JsonArray ?? throw new GlmException($"{file}: expected a list {name}, found none");

    private static IEnumerable<KeyValuePair<string, JsonNode?>> Copy(JsonObject fields) => fields.Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone()));
}
