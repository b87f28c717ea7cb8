using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Glm.Server;

/// <summary>The measurements of models and of the server in Prometheus' text form. Safe for use from several threads.</summary>
internal sealed class PrometheusMetrics : IDisposable
{
    private static readonly double[] Bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, Family> _families = new(StringComparer.Ordinal);
    private readonly HashSet<string> _meters;

    /// <summary>Listens to the meters of these names.</summary>
    public PrometheusMetrics(params string[] meters)
    {
        _meters = [.. meters];
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (_meters.Contains(instrument.Meter.Name)) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>All measurements.</summary>
    public string Write()
    {
        _listener.RecordObservableInstruments();
        var text = new StringBuilder();
        lock (_lock)
            foreach (var (name, family) in _families) family.Write(text, name);
        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        bool observed = instrument.IsObservable, histogram = instrument is Histogram<double>, total = instrument is Counter<long> or ObservableCounter<long>;
        string name = instrument.Name.Replace('.', '_') + (instrument.Unit == "s" ? "_seconds" : "") + (total ? "_total" : "");
        var labels = new List<string>();
        foreach (var (key, tag) in instrument.Meter.Tags ?? []) labels.Add(Label(key, tag));
        foreach (var (key, tag) in tags) labels.Add(Label(key, tag));
        string series = string.Join(',', labels);
        lock (_lock)
        {
            if (!_families.TryGetValue(name, out var family)) _families.Add(name, family = new Family(instrument.Description ?? "", histogram ? "histogram" : total ? "counter" : "gauge"));
            family.Record(series, value, observed, histogram);
        }
    }

    private static string Label(string key, object? value) =>
        $"{key.Replace('.', '_')}=\"{Convert.ToString(value, CultureInfo.InvariantCulture)?.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";

    /// <summary>The series of one name.</summary>
    private sealed class Family(string description, string type)
    {
        private readonly SortedDictionary<string, Series> _series = new(StringComparer.Ordinal);

        public void Record(string labels, double value, bool observed, bool histogram)
        {
            if (!_series.TryGetValue(labels, out var series)) _series.Add(labels, series = new Series(histogram ? new long[Bounds.Length] : null));
            if (observed) series.Sum = value;
            else series.Sum += value;
            if (series.Buckets is null) return;
            series.Count++;
            for (int i = 0; i < Bounds.Length; i++)
                if (value <= Bounds[i]) series.Buckets[i]++;
        }

        public void Write(StringBuilder text, string name)
        {
            var culture = CultureInfo.InvariantCulture;
            text.Append(culture, $"# HELP {name} {description}\n# TYPE {name} {type}\n");
            foreach (var (labels, series) in _series)
            {
                string braces = labels.Length == 0 ? "" : $"{{{labels}}}", open = labels.Length == 0 ? "{" : $"{{{labels},";
                if (series.Buckets is null)
                {
                    text.Append(culture, $"{name}{braces} {series.Sum}\n");
                    continue;
                }
                for (int i = 0; i < Bounds.Length; i++) text.Append(culture, $"{name}_bucket{open}le=\"{Bounds[i]}\"}} {series.Buckets[i]}\n");
                text.Append(culture, $"{name}_bucket{open}le=\"+Inf\"}} {series.Count}\n{name}_sum{braces} {series.Sum}\n{name}_count{braces} {series.Count}\n");
            }
        }
    }

    private sealed class Series(long[]? buckets)
    {
        public long[]? Buckets { get; } = buckets;

        public double Sum { get; set; }

        public long Count { get; set; }
    }
}
